"""Readers and writers of annotations: Raven selection tables, Audacity labels, PAMGuard exports, CSV."""

from seacanary_models.annotation_formats.audacity import read_audacity
from seacanary_models.annotation_formats.delimited import CsvColumns, read_csv, write_csv
from seacanary_models.annotation_formats.pamguard import TimedRecording, read_pamguard_csv, read_pamguard_sqlite
from seacanary_models.annotation_formats.raven import read_raven, write_raven

__all__ = [
    "CsvColumns",
    "TimedRecording",
    "read_audacity",
    "read_csv",
    "read_pamguard_csv",
    "read_pamguard_sqlite",
    "read_raven",
    "write_csv",
    "write_raven",
]
