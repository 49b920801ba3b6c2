"""TLS on the data plane, and callers named by their certificates."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import trustme
from tests.e2e.running import running

pytestmark = pytest.mark.e2e


def test_a_caller_is_named_by_its_certificate_and_none_comes_in_without(
    tmp_path: Path, chat_url: str
) -> None:
    authority = trustme.CA()
    server, client = (
        authority.issue_cert("localhost"),
        authority.issue_cert("agent@example.org", common_name="agent-7"),
    )
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in server.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    data = {"port": 0, "tls_cert": "cert.pem", "tls_key": "key.pem", "tls_client_ca": "ca.pem"}
    system = {"name": "assistant", "kind": "chat", "upstream": {"url": chat_url}}
    body = json.dumps({"model": "stand-in-1", "messages": [{"role": "user", "content": "Hello"}]}).encode()

    with running(tmp_path, [system], data=data) as gateway:

        def ask(context: ssl.SSLContext) -> int:
            request = urllib.request.Request(
                f"https://localhost:{gateway.data}/v1/chat/completions",
                data=body,
                headers={"content-type": "application/json", "authorization": "Bearer shared-key"},
            )
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status

        trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)):
            ask(trusting)
        client.configure_cert(trusting)
        assert ask(trusting) == 200
        until = time.monotonic() + 10
        while not (records := list(gateway.gateway.store.records(limit=5))) and time.monotonic() < until:
            time.sleep(0.05)
    (record,) = records
    assert record.principal.source == "mtls"
    assert "commonName=agent-7" in record.principal.id
