"""Opens a backup by docs/backup-format.md alone: no code of the gateway, another cryptography.

open.py DATA MANIFEST KEYFILE OUT writes OUT/records.jsonl and OUT/archive.tar.zst.
"""

import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 256 * 1024
TAG = 16


def derive(key, salt, info, length):
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(key)


def main(data, manifest, keyfile, out):
    with open(keyfile) as file:
        exported = json.load(file)
    key = bytes.fromhex(exported["key"])
    assert derive(key, b"", b"openclawmu backup 1 key id", 8).hex() == exported["keyId"]

    body, tag, rest = open(manifest, "rb").read().split(b"\n")
    assert rest == b""
    said = json.loads(body)
    salt = bytes.fromhex(said["salt"])
    signing = derive(key, salt, b"openclawmu backup 1 manifest", 32)
    assert hmac.compare_digest(hmac.new(signing, body, hashlib.sha256).hexdigest().encode(), tag)

    sealed, plain = hashlib.sha256(), hashlib.sha256()
    with open(data, "rb") as file:
        magic, length = struct.unpack(">8sI", file.read(12))
        assert magic == b"OCMUBAK1"
        header = file.read(length)
        bound = hashlib.sha256(struct.pack(">8sI", magic, length) + header).digest()
        sealed.update(struct.pack(">8sI", magic, length) + header)
        head = json.loads(header)
        assert (head["format"], head["backup"], head["salt"]) == (1, said["backup"], said["salt"])
        cipher = AESGCM(derive(key, salt, b"openclawmu backup 1 content", 32))
        records = open(os.path.join(out, "records.jsonl"), "wb")
        archive = open(os.path.join(out, "archive.tar.zst"), "wb")
        number, pending, in_records = 0, b"", True
        chunk = file.read(CHUNK + TAG)
        while chunk:
            following = file.read(CHUNK + TAG)
            nonce = b"\0\0\0" + struct.pack(">Q", number) + (b"\0" if following else b"\1")
            opened = cipher.decrypt(nonce, chunk, bound)
            sealed.update(chunk)
            plain.update(opened)
            number += 1
            if in_records:
                pending += opened
                while b"\n" in pending and in_records:
                    line, pending = pending.split(b"\n", 1)
                    records.write(line + b"\n")
                    in_records = b'"end"' != line[1:6] or "end" not in json.loads(line)
                if not in_records:
                    archive.write(pending)
            else:
                archive.write(opened)
            chunk = following
    assert number == said["sums"]["chunks"], number
    assert sealed.hexdigest() == said["sums"]["sealed"]["sha256"]
    assert plain.hexdigest() == said["sums"]["plain"]["sha256"]
    print(json.dumps({"chunks": number, "tenant": said["tenant"]}))


main(*sys.argv[1:])
