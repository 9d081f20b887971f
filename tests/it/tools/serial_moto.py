"""moto's S3 server, one request at a time. By itself it checks whether an object exists and writes it
afterwards, so that two creates of one object sometimes both win. `serial_moto.py PORT`."""

import sys
import threading

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

ONE_AT_A_TIME = threading.Lock()
MOTO = DomainDispatcherApplication(create_backend_app)


def application(environ, start_response):
    with ONE_AT_A_TIME:
        return [b"".join(MOTO(environ, start_response))]


run_simple(
    "127.0.0.1",
    int(sys.argv[1]),
    application,
    threaded=True,
    request_handler=MotoRequestHandler,
)
