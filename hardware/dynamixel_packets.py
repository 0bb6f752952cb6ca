"""Dynamixel Protocol 2.0 packets, byte by byte.

Source: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0" and "CRC Calculation" (polynomial 0x8005, initial value 0).
"""

HEADER = b"\xff\xff\xfd\x00"
BROADCAST = 254
_STUFFED, _PLAIN = b"\xff\xff\xfd\xfd", b"\xff\xff\xfd"
_STATUS = 0x55


def crc16(data: bytes, crc: int = 0) -> int:
    """CRC of `data`, going on from `crc`."""
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ byte]
    return crc


def packet(to: int, instruction: int, data: bytes) -> bytes:
    """One packet with header, length, byte stuffing and CRC."""
    body = bytes([instruction]) + data.replace(_PLAIN, _STUFFED)
    head = HEADER + bytes([to]) + (len(body) + 2).to_bytes(2, "little") + body
    return head + crc16(head).to_bytes(2, "little")


def status(sender: int, error: int, data: bytes = b"") -> bytes:
    """A servo's answer: error byte and data."""
    return packet(sender, _STATUS, bytes([error]) + data)


def unstuffed(data: bytes) -> bytes:
    """What stood in a packet before byte stuffing."""
    return data.replace(_STUFFED, _PLAIN)


def fast_start(blocks_size: int) -> bytes:
    """Beginning of the one answer that all servos of a fast read write together; they stuff no bytes."""
    return HEADER + bytes([BROADCAST]) + (blocks_size + 1).to_bytes(2, "little") + bytes([_STATUS])


def fast_block(sender: int, error: int, data: bytes, crc: int) -> tuple[bytes, int]:
    """One servo's part of a fast answer, and the CRC of all up to its end. `crc` is that of all before it."""
    block = bytes([error, sender]) + data
    crc = crc16(block, crc)
    end = crc.to_bytes(2, "little")
    return block + end, crc16(end, crc)


def _entry(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x8005) & 0xFFFF if crc & 0x8000 else crc << 1 & 0xFFFF
    return crc


_TABLE = [_entry(byte) for byte in range(256)]

__all__ = ["BROADCAST", "HEADER", "crc16", "fast_block", "fast_start", "packet", "status", "unstuffed"]
