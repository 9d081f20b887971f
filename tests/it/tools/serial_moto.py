"""moto's S3 server, one request at a time: on its own it looks whether an object is there and writes it
afterwards, so that now and then two creates of one object win. `serial_moto.py PORT`."""

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
