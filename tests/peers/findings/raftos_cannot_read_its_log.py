"""raftos 0.2.6: with its own serializer, MessagePack, a server that has an entry cannot restart.

Each entry is written with a line feed after it, and the log is read by lines; MessagePack refuses what
follows its value, and the line feed does. A server that runs reads its log at each fifth entry.
"""

import tempfile

import raftos
from raftos.storage import Log

with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder})
    log = Log("n1:9000")
    log.write(1, {"register": "v1"})
    try:
        print("after a restart it has", Log("n1:9000").cache)
    except Exception as error:
        print("after a restart:", type(error).__name__, error)
