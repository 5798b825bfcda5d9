/* A hydrophone that is a raw file: an ALSA capture device for tests only.
 *
 * Frames leave the file bit for bit at the pace of the monotonic clock, started by the
 * first read, and the file is repeated without end. Like a real device it goes on hearing
 * while nobody reads: an application that falls a whole buffer behind gets an overrun,
 * what the buffer held is lost, and capture resumes at the file position of that moment,
 * so a test can see from the samples how much was really lost. Removing the file unplugs
 * the device; putting it back plugs it in again.
 *
 * pcm_type.hydro { lib "/path/hydro_pcm.so" }
 * pcm.NAME { type hydro file "/path/x.raw" rate 384000 channels 1 format S32_LE }
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <sys/timerfd.h>
#include <time.h>

typedef struct {
    snd_pcm_ioplug_t io;
    char *path;
    long rate, channels;
    snd_pcm_format_t format;
    int file, timer;
    snd_pcm_sframes_t file_frames; /* length of the file */
    size_t frame_bytes;
    long long heard_since, started; /* ns: first start of this open, latest start */
    snd_pcm_sframes_t moved;        /* frames handed over since the latest start */
} hydro_t;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static snd_pcm_sframes_t frames_in(const hydro_t *h, long long ns) {
    return (snd_pcm_sframes_t)((__int128)ns * h->rate / 1000000000LL);
}

/* As a USB device that is pulled out: its state says so, polling it gives an error at once. */
static int unplugged(hydro_t *h) {
    if (access(h->path, R_OK) == 0) return 0;
    h->io.state = SND_PCM_STATE_DISCONNECTED;
    return 1;
}

static int set_timer(hydro_t *h, long long ns) {
    struct itimerspec every = {{ns / 1000000000LL, ns % 1000000000LL}, {ns / 1000000000LL, ns % 1000000000LL}};
    return timerfd_settime(h->timer, 0, &every, NULL);
}

static int hydro_start(snd_pcm_ioplug_t *io) {
    hydro_t *h = io->private_data;
    if (unplugged(h)) return -ENODEV;
    h->started = now_ns();
    if (!h->heard_since) h->heard_since = h->started;
    h->moved = 0;
    return set_timer(h, io->period_size * 1000000000LL / h->rate);
}

static int hydro_stop(snd_pcm_ioplug_t *io) { return set_timer(io->private_data, 0); }

static int hydro_prepare(snd_pcm_ioplug_t *io) {
    hydro_t *h = io->private_data;
    h->started = 0;
    return unplugged(h) ? -ENODEV : 0;
}

static snd_pcm_sframes_t hydro_pointer(snd_pcm_ioplug_t *io) {
    hydro_t *h = io->private_data;
    snd_pcm_sframes_t heard = h->started ? frames_in(h, now_ns() - h->started) : 0;
    if (unplugged(h)) return io->hw_ptr % io->buffer_size;
    if (heard - (snd_pcm_sframes_t)io->appl_ptr >= (snd_pcm_sframes_t)io->buffer_size) return -EPIPE;
    return heard % io->buffer_size;
}

static snd_pcm_sframes_t hydro_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                        snd_pcm_uframes_t offset, snd_pcm_uframes_t size) {
    hydro_t *h = io->private_data;
    snd_pcm_sframes_t from = (frames_in(h, h->started - h->heard_since) + h->moved) % h->file_frames;
    snd_pcm_sframes_t left = h->file_frames - from, frames = left < (snd_pcm_sframes_t)size ? left : (long)size;
    char *to = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
    ssize_t bytes = frames * h->frame_bytes;
    if (unplugged(h)) return -ENODEV;
    if (pread(h->file, to, bytes, from * h->frame_bytes) != bytes) return -EIO;
    h->moved += frames;
    return frames;
}

static int hydro_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents) {
    unsigned long long ticks;
    *revents = count ? fds[0].revents : 0;
    if (unplugged(io->private_data)) *revents = POLLERR; /* and leave the timer readable */
    else if (*revents && read(fds[0].fd, &ticks, sizeof ticks) < 0 && errno != EAGAIN) return -errno;
    return 0;
}

static int hydro_close(snd_pcm_ioplug_t *io) {
    hydro_t *h = io->private_data;
    close(h->file);
    close(h->timer);
    free(h->path);
    free(h);
    return 0;
}

static const snd_pcm_ioplug_callback_t hydro_callbacks = {
    .start = hydro_start, .stop = hydro_stop, .prepare = hydro_prepare, .pointer = hydro_pointer,
    .transfer = hydro_transfer, .poll_revents = hydro_revents, .close = hydro_close,
};

static int constrain(hydro_t *h) {
    const unsigned int access[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    const unsigned int format[] = {h->format};
    snd_pcm_ioplug_t *io = &h->io;
    int failed = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
    failed |= snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, format);
    failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, h->channels, h->channels);
    failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, h->rate, h->rate);
    failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 256, 4 << 20);
    failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 512, 16 << 20);
    failed |= snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    return failed ? -EINVAL : 0;
}

static int configure(hydro_t *h, snd_config_t *conf) {
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, conf) {
        snd_config_t *n = snd_config_iterator_entry(i);
        const char *id, *text;
        if (snd_config_get_id(n, &id) < 0) continue;
        if (!strcmp(id, "rate")) snd_config_get_integer(n, &h->rate);
        else if (!strcmp(id, "channels")) snd_config_get_integer(n, &h->channels);
        else if (!strcmp(id, "format") && !snd_config_get_string(n, &text)) h->format = snd_pcm_format_value(text);
        else if (!strcmp(id, "file") && !snd_config_get_string(n, &text)) h->path = strdup(text);
    }
    h->frame_bytes = h->channels * snd_pcm_format_physical_width(h->format) / 8;
    return h->path && h->rate > 0 && h->frame_bytes ? 0 : -EINVAL;
}

SND_PCM_PLUGIN_DEFINE_FUNC(hydro) {
    hydro_t *h = calloc(1, sizeof *h);
    int err = configure(h, conf);
    if (err < 0 || stream != SND_PCM_STREAM_CAPTURE || (h->file = open(h->path, O_RDONLY)) < 0) {
        free(h->path);
        free(h);
        return err < 0 ? err : -ENODEV;
    }
    h->file_frames = lseek(h->file, 0, SEEK_END) / h->frame_bytes;
    h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    h->io = (snd_pcm_ioplug_t){
        .version = SND_PCM_IOPLUG_VERSION, .name = "hydrophone from a file", .callback = &hydro_callbacks,
        .private_data = h, .poll_fd = h->timer, .poll_events = POLLIN, .mmap_rw = 0,
    };
    err = snd_pcm_ioplug_create(&h->io, name, stream, mode);
    if (err < 0) {
        hydro_close(&h->io);
        return err;
    }
    err = constrain(h);
    if (err < 0) { snd_pcm_ioplug_delete(&h->io); return err; }
    *pcmp = h->io.pcm;
    return 0;
}

SND_PCM_PLUGIN_SYMBOL(hydro);
