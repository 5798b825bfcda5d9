"""A real kube-apiserver with etcd on free loopback ports, for tests. Nothing is scheduled: there is no kubelet."""

import base64
import json
import secrets
import ssl
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import yaml

from redis_server import free_port


class Refused(Exception):
    """The API server's own words."""


class KubeServer:
    """Started on entry, killed on exit. Its admission plugins are the default ones, Pod Security among them."""

    def __init__(self, folder: Path, apiserver: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.warnings: list[str] = []
        self._folder, self._apiserver = folder, apiserver
        self._url = f"https://127.0.0.1:{free_port()}"
        self._token = secrets.token_hex(16)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._tls: ssl.SSLContext | None = None

    def get(self, path: str) -> dict[str, Any]:
        """An object, or a list of them."""
        return self._ask("GET", path)

    def create(self, path: str, tree: Mapping[str, Any]) -> dict[str, Any]:
        """An object as it was admitted; `warnings` has what the server remarked.

        Raises:
            Refused: it was not admitted.
        """
        return self._ask("POST", path, tree)

    def make_namespace(self, name: str, level: str) -> str:
        """A namespace in which Pod Security enforces, and warns at, a level."""
        labels = {f"pod-security.kubernetes.io/{what}": level for what in ("enforce", "warn")}
        self.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        return name

    def make_definition(self, definition: Mapping[str, Any]) -> None:
        """A custom resource definition, until it is served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        self.create(path, definition)
        spec = definition["spec"]
        for _ in range(200):
            with suppress(Refused):
                self.get(f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
                return
            time.sleep(0.05)
        raise AssertionError(f"{definition['metadata']['name']} is not served")

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        etcd = f"http://127.0.0.1:{free_port()}"
        self._start("etcd", self._etcd(etcd))
        self._start("kube-apiserver", self._kube_apiserver(etcd))
        for _ in range(600):
            with suppress(URLError, OSError, Refused):
                self._trust()
                self.get("/api/v1/namespaces/kube-system")
                self._write_kubeconfig()
                return self
            assert all(process.poll() is None for process in self._processes), f"see the logs in {self._folder}"
            time.sleep(0.1)
        raise AssertionError(f"kube-apiserver did not come up; see the logs in {self._folder}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()

    def _start(self, name: str, command: list[str]) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def _etcd(self, url: str) -> list[str]:
        peers = f"http://127.0.0.1:{free_port()}"
        return [
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
        ]

    def _kube_apiserver(self, etcd: str) -> list[str]:
        key, tokens = self._folder / "service-account.pem", self._folder / "tokens.csv"
        subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
        tokens.write_text(f'{self._token},tester,tester,"system:masters"\n')
        return [
            str(self._apiserver),
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._url.rpartition(':')[2]}",
            f"--cert-dir={self._folder / 'certificates'}",
            f"--token-auth-file={tokens}",
            "--authorization-mode=RBAC",
            # As kubeadm does it: whether a pod may be privileged is Pod Security's to say.
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            # It would wait for a controller that makes service accounts.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _trust(self) -> None:
        """The certificate that the server has made for itself names 127.0.0.1."""
        self._tls = ssl.create_default_context(cafile=self._folder / "certificates" / "apiserver.crt")

    def _write_kubeconfig(self) -> None:
        certificate = (self._folder / "certificates" / "apiserver.crt").read_bytes()
        cluster = {"server": self._url, "certificate-authority-data": base64.b64encode(certificate).decode()}
        tree = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(tree))
        self.kubeconfig.chmod(0o600)

    def _ask(self, method: str, path: str, tree: Mapping[str, Any] | None = None) -> dict[str, Any]:
        body = None if tree is None else json.dumps(tree).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = Request(self._url + path, data=body, headers=headers, method=method)
        try:
            with urlopen(request, timeout=30, context=self._tls) as answer:
                self.warnings = answer.headers.get_all("Warning") or []
                result: dict[str, Any] = json.load(answer)
        except HTTPError as exc:
            raise Refused(_words(exc.read().decode())) from exc
        return result


def _words(body: str) -> str:
    """A Status says what is the matter in its message; a path that is not served has plain text."""
    try:
        message: str = json.loads(body)["message"]
    except ValueError:
        return body
    return message
