package ingress

import (
	"errors"
	"fmt"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sluicehq/sluice/services/device"
)

var (
	errClosed = errors.New("the connection is closed")
	errBusy   = errors.New("the client has not acknowledged what it was sent")
)

// enqueue queues encoded packets. It never blocks. A client with a full queue is closed.
func (c *conn) enqueue(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enqueueLocked(data)
}

func (c *conn) enqueueLocked(data []byte) error {
	if c.closing {
		return errClosed
	}
	if len(c.out)+c.busy+len(data) > c.l.limits.WriteQueue {
		c.out = nil
		c.closeLocked(slowConsumer)
		c.l.note(c.key.DeviceID, Closed, "a connection was closed: "+slowConsumer.Reason, map[string]any{"clientId": c.key.ClientID})
		return errClosed
	}
	c.out = append(c.out, data...)
	c.startWriter()
	return nil
}

func (c *conn) startWriter() {
	if !c.writing {
		c.writing = true
		go c.write()
	}
}

// write writes the queue, and ends when it is empty.
func (c *conn) write() {
	for {
		c.mu.Lock()
		data, closing := c.out, c.closing
		c.out, c.busy = nil, len(data)
		if len(data) == 0 {
			c.writing = false
			c.mu.Unlock()
			if closing {
				_ = c.net.Close() // fails only when it is already closed
			}
			return
		}
		timeout := c.l.limits.WriteTimeout
		if closing {
			timeout = closeTimeout
		}
		_ = c.net.SetWriteDeadline(time.Now().Add(timeout)) // a closed connection fails below
		c.mu.Unlock()
		if _, err := c.net.Write(data); err != nil {
			c.mu.Lock()
			c.closing, c.writing, c.out = true, false, nil
			c.mu.Unlock()
			_ = c.net.Close() // fails only when it is already closed
			return
		}
	}
}

// close ends the connection after the queue is written, or after closeTimeout. A client of MQTT 5 receives the
// reason. It never blocks.
func (c *conn) close(why packets.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(why)
}

func (c *conn) closeLocked(why packets.Code) {
	if c.closing {
		return
	}
	if c.version == 5 && c.generation > 0 && why.Code >= 0x80 {
		p := packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: 5, ReasonCode: why.Code,
			Properties: packets.Properties{ReasonString: why.Reason}, Mods: c.mods(),
		}
		c.out = append(c.out, encode(&p)...)
	}
	c.closing, c.cause = true, why
	_ = c.net.SetWriteDeadline(time.Now().Add(closeTimeout)) // also of a running write
	c.startWriter()
}

func (c *conn) closedBy() packets.Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// send queues a message. Its PUBACK closes acknowledged; nil for QoS 0.
func (c *conn) send(m device.DownMessage) (acknowledged chan struct{}, err error) {
	topic := topicPrefix + m.DeviceID + "/" + string(m.Topic)
	c.mu.Lock()
	defer c.mu.Unlock()
	qos, subscribed := granted(c.filters, topic)
	if !subscribed || c.closing {
		return nil, device.ErrNotSubscribed
	}
	p := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, ProtocolVersion: c.version, TopicName: topic, Payload: m.Payload, Mods: c.mods(),
	}
	if !m.ExpiresAt.IsZero() {
		p.Properties.MessageExpiryInterval = uint32(max(1, m.ExpiresAt.Sub(c.l.options.Clock.Now()).Seconds()))
	}
	if qos > 0 {
		if len(c.inflight) >= c.receiveMax {
			return nil, errBusy
		}
		for p.PacketID = c.lastID + 1; p.PacketID == 0 || c.inflight[p.PacketID] != nil; p.PacketID++ {
		}
	}
	data := encode(&p)
	if c.maxOutgoing > 0 && len(data) > c.maxOutgoing {
		return nil, fmt.Errorf("the message has %d bytes, and the client takes %d", len(data), c.maxOutgoing)
	}
	if err := c.enqueueLocked(data); err != nil {
		return nil, device.ErrNotSubscribed
	}
	if qos == 0 {
		return nil, nil
	}
	if c.inflight == nil {
		c.inflight = map[uint16]chan struct{}{}
	}
	acknowledged = make(chan struct{})
	c.lastID, c.inflight[p.PacketID] = p.PacketID, acknowledged
	return acknowledged, nil
}
