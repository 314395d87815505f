"""endless.py HUB PORT WORK: a hub that was taken over. With the keys of the folder HUB it offers a history that nobody knows and sends a pack that does not end.

Prints "up" when it listens; it runs until it is killed. WORK: a folder for its certificates."""
import os
import socket
import ssl
import struct
import sys
import zlib

hub, port, work = sys.argv[1], int(sys.argv[2]), sys.argv[3]
chain = os.path.join(work, "chain.pem")
with open(chain, "w") as out:
    for name in ("keys/hub-tls.crt", "ca/issuing.crt", "ca/root.crt"):
        out.write(open(os.path.join(hub, name)).read())
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(chain, hub + "/keys/hub-tls.key")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", port))
listener.listen(8)
print("up", flush=True)


def packet(payload):
    return b"%04x" % (len(payload) + 4) + payload


def read_request(f):
    """The first line, with head and body read; b"" at the end."""
    line, length, chunked = f.readline(), 0, False
    while line and (head := f.readline().strip().lower()):
        if head.startswith(b"content-length:"):
            length = int(head.split(b":")[1])
        chunked = chunked or (head.startswith(b"transfer-encoding:") and b"chunked" in head)
    f.read(length)
    while chunked and (size := int(f.readline(), 16)):
        f.read(size + 2)
    return line


def pack():
    """Blobs of 100 MiB that are not compressed, one after the other, no two alike."""
    size, rows = 100 << 20, os.urandom(1 << 20)
    first = [(3 << 4) | (size & 15)]
    left = size >> 4
    while left:
        first[-1] |= 0x80
        first.append(left & 0x7F)
        left >>= 7
    yield b"PACK" + struct.pack(">II", 2, 1000)
    while True:
        deflate = zlib.compressobj(0)
        yield bytes(first)
        yield deflate.compress(os.urandom(1 << 20))
        for _ in range(99):
            yield deflate.compress(rows)
        yield deflate.flush()


def serve(s):
    f = s.makefile("rb")
    while line := read_request(f):
        if b"info/refs" in line:
            body = packet(b"# service=git-upload-pack\n") + b"0000" + packet(b"ab" * 20 + b" refs/heads/down\0side-band-64k ofs-delta object-format=sha1\n") + b"0000"
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            continue
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-result\r\nTransfer-Encoding: chunked\r\n\r\n")
        s.sendall(b"8\r\n" + packet(b"NAK\n") + b"\r\n")
        for piece in pack():
            for at in range(0, len(piece), 60000):
                body = packet(b"\1" + piece[at : at + 60000])
                s.sendall(b"%x\r\n" % len(body) + body + b"\r\n")


while True:
    raw, _ = listener.accept()
    try:
        serve(context.wrap_socket(raw, server_side=True))
    except (OSError, ValueError):
        pass
    raw.close()
