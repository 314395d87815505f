"""tap.py LISTEN-FILE TO-PORT CERT KEY CA CLIENT-CERT CLIENT-KEY OUT: a listener on the wire, inside of TLS.

It plays the hub with the hub's own key, and the office with the office's own, and keeps all that both say: each connection as OUT.N.up and OUT.N.down.
Runs until it is killed. Writes its port into LISTEN-FILE."""
import os
import socket
import ssl
import sys
import threading

listen, to, cert, key, ca, client_cert, client_key, out = sys.argv[1:9]
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(cert, key)
server.load_verify_locations(ca)
server.verify_mode = ssl.CERT_OPTIONAL


def as_office():
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(ca)
    if os.path.exists(client_cert):  # not yet when it enrols
        client.load_cert_chain(client_cert, client_key)
    return client


def pump(source, sink, path):
    with open(path, "wb", buffering=0) as kept:
        try:
            while data := source.recv(65536):
                kept.write(data)
                sink.sendall(data)
        except OSError:
            pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(plain, n):
    try:
        office = server.wrap_socket(plain, server_side=True)
        hub = as_office().wrap_socket(socket.create_connection(("127.0.0.1", int(to))))
    except OSError as e:
        print("connection", n, e, file=sys.stderr)
        plain.close()
        return
    up = threading.Thread(target=pump, args=(office, hub, f"{out}.{n}.up"), daemon=True)
    up.start()
    pump(hub, office, f"{out}.{n}.down")
    up.join()


door = socket.create_server(("127.0.0.1", 0))
with open(listen + ".tmp", "w") as f:
    f.write(f"{door.getsockname()[1]}\n")
os.rename(listen + ".tmp", listen)
count = 0
while True:
    conn, _ = door.accept()
    count += 1
    threading.Thread(target=serve, args=(conn, count), daemon=True).start()
