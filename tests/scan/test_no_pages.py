"""The local cluster of a scan serves no web pages: they would answer everybody, without a login."""

import urllib.error
import urllib.request

from tftrace.scan.run import _local_client

PAGES = ("info/main/workers.html", "health", "metrics", "json/counts.json", "status")


def _served(port: int, page: str) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code != 404
    except OSError:
        return False
    return True


def test_no_page_of_scheduler_or_worker_is_served():
    with _local_client(1, 1) as client:
        scheduler = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.http_server.port)
        (worker,) = client.run(lambda dask_worker: dask_worker.http_server.port).values()
        ports = [scheduler, worker]
        assert [(port, page) for port in ports for page in PAGES if _served(port, page)] == []
        # The cluster works all the same.
        assert client.submit(sum, [1, 2]).result() == 3
