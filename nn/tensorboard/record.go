package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked returns the masked CRC-32C of b.
func masked(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// appendRecord appends a record with the data.
func appendRecord(b, data []byte) []byte {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(data)))
	b = append(b, length[:]...)
	b = binary.LittleEndian.AppendUint32(b, masked(length[:]))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}
