package events

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A record is an element as it stands in the spool:
//
//	byte 0      recordVersion
//	bytes 1-4   CRC-32C of all that follows (bbolt has no checksums of data)
//	byte 5      1 if the element goes onto parked, 0 if onto events
//	bytes 6-13  when it was spooled, ms since 1970
//	bytes 14-   the element
const (
	recordVersion = 1
	recordHeader  = 14
)

// errRecord is what decodeRecord answers for bytes that are no record.
var errRecord = errors.New("unreadable record in the spool")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRecord(e element, at time.Time) []byte {
	record := make([]byte, recordHeader, recordHeader+len(e.bytes))
	record[0] = recordVersion
	if e.parked {
		record[5] = 1
	}
	binary.BigEndian.PutUint64(record[6:], uint64(at.UnixMilli()))
	record = append(record, e.bytes...)
	binary.BigEndian.PutUint32(record[1:], crc32.Checksum(record[5:], castagnoli))
	return record
}

// decodeRecord reads what encodeRecord wrote. The element aliases record.
func decodeRecord(record []byte) (element, error) {
	if len(record) < recordHeader {
		return element{}, fmt.Errorf("%w: %d bytes", errRecord, len(record))
	}
	if record[0] != recordVersion {
		return element{}, fmt.Errorf("%w: version %d", errRecord, record[0])
	}
	if crc32.Checksum(record[5:], castagnoli) != binary.BigEndian.Uint32(record[1:]) {
		return element{}, fmt.Errorf("%w: its checksum is wrong", errRecord)
	}
	return element{bytes: record[recordHeader:], parked: record[5] == 1}, nil
}

// recordTime answers when a record was spooled; the zero time for bytes that
// are no record.
func recordTime(record []byte) time.Time {
	if len(record) < recordHeader {
		return time.Time{}
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(record[6:])))
}
