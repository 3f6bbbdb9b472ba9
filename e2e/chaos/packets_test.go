package chaos

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(first byte, body ...[]byte) []byte {
	all := bytes.Join(body, nil)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(all))), all...)
}

func connectPacket(version, flags byte, clientID, id, secret string, properties ...byte) []byte {
	body := [][]byte{text("MQTT"), {version, 0xC0 | flags, 0, 60}}
	if version == 5 {
		body = append(body, append([]byte{byte(len(properties))}, properties...))
	}
	return packet(0x10, append(body, text(clientID), text(id), text(secret))...)
}

func publishPacket(qos byte, packetID uint16, topic, payload string) []byte {
	body := [][]byte{text(topic)}
	if qos > 0 {
		body = append(body, binary.BigEndian.AppendUint16(nil, packetID))
	}
	return packet(0x30|qos<<1, append(body, []byte(payload))...)
}

func subscribePacket(packetID uint16, filter string) []byte {
	return packet(0x82, binary.BigEndian.AppendUint16(nil, packetID), text(filter), []byte{1})
}

// readPacket reads one packet of at most 1 MiB.
func readPacket(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(r)
	if err != nil || length > 1<<20 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r, body)
	return first, body, err
}
