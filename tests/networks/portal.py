"""A captive portal: whatever is asked over TLS, it answers with its own certificate and a redirect to its page.

    python3 portal.py ADDRESS PORT CERTIFICATE KEY
"""
import http.server
import ssl
import sys


class Portal(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://portal.hotel.example/welcome")
        self.end_headers()

    do_POST = do_GET


def main(address, port, certificate, key):
    server = http.server.ThreadingHTTPServer((address, int(port)), Portal)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:5])
