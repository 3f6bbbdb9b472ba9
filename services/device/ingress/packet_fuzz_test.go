package ingress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Whatever a client sends ends in a packet, in a code that can be sent to it, or at the end of what it sent.
func FuzzReadPacket(f *testing.F) {
	for _, seed := range [][]byte{
		{0x82, 0x05, 0x00, 0x01, 0x00, 0x00, 0x00}, {0x30, 0xFF, 0xFF, 0xFF, 0x7F}, {0x32, 0x06, 0x00, 0x01, 'a', 0x00, 0x01, 0x00},
		{0x10, 0x0C, 0x00, 0x04, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0}, {0xE0, 0x02, 0x04, 0x00}, {0x40, 0x02, 0x00, 0x01}, {0xC0, 0x00},
		{0xA2, 0x06, 0x00, 0x01, 0x00, 0x00, 0x01, 'a'}, {0x32, 0x09, 0x00, 0x01, 'a', 0x00, 0x01, 0x03, 0x23, 0x00, 0x01},
	} {
		f.Add(seed, byte(4))
		f.Add(seed, byte(5))
	}
	f.Fuzz(func(t *testing.T, data []byte, version byte) {
		r := bufio.NewReaderSize(bytes.NewReader(data), 64)
		for {
			p, size, err := readPacket(r, version, 1<<10)
			if err == nil {
				if size > 1<<10 || p == nil {
					t.Fatalf("read %d bytes", size)
				}
				if p.FixedHeader.Type == packets.Subscribe {
					for _, filter := range p.Filters {
						if ownFilter("d", filter.Filter) && !bytes.HasPrefix([]byte(filter.Filter), []byte("devices/d")) {
							t.Fatalf("%q is granted", filter.Filter)
						}
					}
				}
				continue
			}
			if _, ok := errors.AsType[packets.Code](err); !ok && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			return
		}
	})
}

func TestFilterMatchesTopic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/#", "a/b/c", true}, {"a/#", "a", true}, {"#", "a", true}, {"a/+/c", "a/b/c", true},
		{"a/+", "a/b/c", false}, {"a/+", "a", false}, {"a/b/c", "a/b", false}, {"+/+", "a/b", true}, {"a/+/#", "a", false},
	} {
		if got := matches(c.filter, c.topic); got != c.want {
			t.Errorf("%s matches %s: %t", c.filter, c.topic, got)
		}
	}
}
