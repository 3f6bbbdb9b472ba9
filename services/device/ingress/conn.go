package ingress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// Reasons for which the server closes a connection.
var (
	takenOver    = packets.ErrSessionTakenOver
	shuttingDown = packets.ErrServerShuttingDown
	evicted      = packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: "too many connections of this device"}
	revoked      = packets.Code{Code: packets.ErrNotAuthorized.Code, Reason: "the device was deleted, or its secret replaced"}
	slowConsumer = packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: "the client does not read what it is sent"}
	notStored    = packets.Code{Code: packets.ErrServerUnavailable.Code, Reason: "the message cannot be stored now: send it again"}
)

const (
	readBuffer   = 4 << 10
	batchSize    = 256                    // messages of one connection per group
	heavyBatch   = 8                      // of these, messages with a write of their own: all but telemetry
	closeTimeout = 2 * time.Second        // to write the last packets of a closed connection
	maxInflight  = 32                     // deliveries to a client without PUBACK
	noteDelay    = 500 * time.Millisecond // total delay of a connection, before it is noted
)

// conn is the connection of a client. One goroutine reads and processes packets. A second one writes, only while
// packets are queued.
type conn struct {
	l       *Listener
	net     net.Conn
	r       *bufio.Reader
	address string

	// Set by CONNECT.
	version     byte
	key         Key
	generation  int64
	ttl         time.Duration
	keepAlive   time.Duration // maximum silence of the client; 0 before CONNECT
	limiter     *limiter
	will        *Will
	terse       bool // the client requested no reason strings
	maxOutgoing int  // bytes per packet; 0 for no limit

	throttled bool // noted
	delayed   time.Duration
	dropped   int // messages of QoS 0 over the rate

	mu         sync.Mutex
	out        []byte // queued packets, encoded
	busy       int    // bytes of the running write
	writing    bool
	closing    bool
	cause      packets.Code // why the server closed it
	ended      chan struct{}
	filters    []Filter
	inflight   map[uint16]chan struct{} // closed by PUBACK
	lastID     uint16
	receiveMax int
}

func newConn(l *Listener, accepted net.Conn, address string) *conn {
	c := &conn{l: l, net: accepted, address: address, version: 4, ended: make(chan struct{}), receiveMax: maxInflight}
	c.r = bufio.NewReaderSize(alive{c}, readBuffer)
	return c
}

// alive reads from the socket. Every byte extends the keep-alive deadline.
type alive struct{ c *conn }

func (a alive) Read(p []byte) (int, error) {
	if a.c.keepAlive > 0 {
		if err := a.c.net.SetReadDeadline(time.Now().Add(a.c.keepAlive)); err != nil {
			return 0, err
		}
	}
	return a.c.net.Read(p)
}

// run serves the connection until it ends.
func (c *conn) run() {
	defer c.recovered()
	c.l.guests.add(c)
	accepted := c.connect()
	c.l.guests.remove(c)
	if !accepted {
		c.close(packets.CodeSuccess)
		return
	}
	graceful := false
	defer func() {
		c.close(packets.CodeSuccess)
		c.end(graceful)
	}()
	defer c.recovered()
	graceful = c.read()
}

// recovered closes only this connection after a panic.
func (c *conn) recovered() {
	if r := recover(); r != nil {
		c.l.logger.Error("a connection of a device failed", "device", c.key.DeviceID, "panic", r, "stack", string(debug.Stack()))
		c.close(packets.ErrUnspecifiedError)
	}
}

// end publishes the last will, and releases the session. A will with a delay becomes due in the store.
func (c *conn) end(graceful bool) {
	close(c.ended)
	ctx, cancel := context.WithTimeout(c.l.ctx, acquireTimeout)
	defer cancel()
	if c.closedBy() == shuttingDown {
		return // Run releases the sessions of this process
	}
	end := End{TTL: &c.ttl, Now: c.l.options.Clock.Now()}
	if c.will != nil && !graceful && c.limiter.allow(len(c.will.Message.Payload)) {
		if end.Will = c.will.Delay > 0; !end.Will {
			c.will.Message.ArrivedAt = end.Now
			c.l.commits.store(c.l.ctx, []device.UpMessage{c.will.Message})
		}
	}
	here := c.l.remove(c)
	// If this fails, watchNodes releases the session later.
	release := func(ctx context.Context) error { return c.l.sessions.ReleaseSession(ctx, c.key, c.generation, end) }
	if err := c.l.writes.do(ctx, c.key.DeviceID, release); err != nil && ctx.Err() == nil {
		c.l.logger.Warn("a session is not released yet", "device", c.key.DeviceID, "error", err)
	}
	if here {
		c.l.tracker.Notice(ctx, presence.Signal{DeviceID: c.key.DeviceID, Kind: presence.Disconnected, At: end.Now})
	}
}

// publication is a PUBLISH before its commit.
type publication struct {
	message  device.UpMessage
	packetID uint16
	qos      byte
}

// read processes packets until the connection ends, and reports whether the client sent DISCONNECT. All complete
// packets in the read buffer are committed together.
func (c *conn) read() (graceful bool) {
	var waiting []publication
	heavy := 0
	for {
		if len(waiting) > 0 && (len(waiting) >= batchSize || heavy >= heavyBatch || !buffered(c.r)) {
			if !c.commit(waiting) {
				return false
			}
			waiting, heavy = waiting[:0], 0
		}
		p, size, err := readPacket(c.r, c.version, c.l.limits.MaxPacket)
		if err != nil {
			c.fail(err)
			return false
		}
		publish := p.FixedHeader.Type == packets.Publish
		if publish && p.FixedHeader.Qos == 0 && !c.limiter.allow(size) {
			c.drop()
			continue
		}
		if !publish || p.FixedHeader.Qos > 0 {
			if delay := c.limiter.reserve(1, size); delay > 0 {
				if len(waiting) > 0 && !c.commit(waiting) {
					return false
				}
				waiting = waiting[:0]
				c.throttle(delay)
			}
		}
		if publish {
			one, err := c.published(p)
			if err != nil {
				c.fail(err)
				return false
			}
			waiting = append(waiting, one)
			if one.message.Topic != device.UpTelemetry {
				heavy++
			}
			continue
		}
		if p.FixedHeader.Type == packets.Disconnect {
			c.commit(waiting)
			return c.disconnected(p)
		}
		if err := c.process(p); err != nil {
			c.fail(err)
			return false
		}
	}
}

// throttle delays the next packet of a device over its rate, and notes it once.
func (c *conn) throttle(delay time.Duration) {
	if c.delayed += delay; c.delayed > noteDelay && !c.throttled {
		c.throttled = true
		c.l.note(c.key.DeviceID, Throttled, fmt.Sprintf("sends more than %d messages or %d bytes a second: its messages are read slower",
			c.l.limits.Messages, c.l.limits.Bytes), map[string]any{"clientId": c.key.ClientID})
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.l.ctx.Done():
	}
}

// drop counts a message of QoS 0 over the rate.
func (c *conn) drop() {
	c.dropped++
	if c.dropped&(c.dropped-1) == 0 { // at 1, 2, 4, …
		c.l.note(c.key.DeviceID, Throttled, fmt.Sprintf("sends more than its rate: %d messages of quality of service 0 were dropped", c.dropped),
			map[string]any{"clientId": c.key.ClientID, "dropped": c.dropped})
	}
}

func (c *conn) published(p *packets.Packet) (publication, error) {
	if p.FixedHeader.Qos > 1 {
		return publication{}, packets.ErrQosNotSupported
	}
	if code := p.PublishValidate(0); code != packets.CodeSuccess {
		return publication{}, code
	}
	return publication{c.message(p.TopicName, p.Payload), p.PacketID, p.FixedHeader.Qos}, nil
}

func (c *conn) message(topic string, payload []byte) device.UpMessage {
	m := device.UpMessage{DeviceID: c.key.DeviceID, Payload: payload, ArrivedAt: c.l.options.Clock.Now()}
	own, ok := strings.CutPrefix(topic, topicPrefix+c.key.DeviceID+"/")
	if !ok {
		own, m.Foreign = topic, true
	}
	m.Topic = device.UpTopic(own)
	return m
}

// commit stores the messages, and acknowledges them in order. When one cannot be stored it returns false: the
// connection is closed, without PUBACK for this message and later ones.
func (c *conn) commit(waiting []publication) bool {
	if len(waiting) == 0 {
		return true
	}
	messages := make([]device.UpMessage, len(waiting))
	for i, one := range waiting {
		messages[i] = one.message
	}
	outcomes := c.l.commits.store(c.l.ctx, messages)
	acks := make([]byte, 0, 4*len(waiting))
	for i, o := range outcomes {
		if o.Err != nil {
			_ = c.enqueue(acks) // the connection may have ended
			c.close(notStored)
			return false
		}
		if waiting[i].qos > 0 {
			acks = c.acknowledge(acks, waiting[i], o)
		}
	}
	c.l.tracker.Notice(c.l.ctx, presence.Signal{DeviceID: c.key.DeviceID, Kind: presence.Active, At: messages[0].ArrivedAt})
	return c.enqueue(acks) == nil
}

func (c *conn) acknowledge(acks []byte, one publication, o uplink.Outcome) []byte {
	if c.version < 5 || o.Refused == nil {
		return append(acks, packets.Puback<<4, 2, byte(one.packetID>>8), byte(one.packetID))
	}
	code := packets.ErrPayloadFormatInvalid.Code
	switch {
	case o.Partial:
		code = packets.CodeSuccess.Code
	case o.Refused.Code == errs.ResourceExhausted:
		code = packets.ErrQuotaExceeded.Code
	case o.Refused.Reason == uplink.ReasonForeignTopic:
		code = packets.ErrNotAuthorized.Code
	case o.Refused.Reason == uplink.ReasonUnknownTopic:
		code = packets.ErrTopicNameInvalid.Code
	}
	p := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Puback}, ProtocolVersion: c.version, PacketID: one.packetID, ReasonCode: code,
		Properties: packets.Properties{ReasonString: fmt.Sprintf("%.500s", o.Refused.Message)}, Mods: c.mods(),
	}
	return append(acks, encode(&p)...)
}

func (c *conn) mods() packets.Mods {
	return packets.Mods{DisallowProblemInfo: c.terse, MaxSize: uint32(c.maxOutgoing)}
}

func (c *conn) process(p *packets.Packet) error {
	switch p.FixedHeader.Type {
	case packets.Pingreq:
		return c.enqueue([]byte{packets.Pingresp << 4, 0})
	case packets.Puback:
		c.mu.Lock()
		defer c.mu.Unlock()
		if waiting, known := c.inflight[p.PacketID]; known {
			close(waiting)
			delete(c.inflight, p.PacketID)
		}
		return nil
	case packets.Subscribe:
		return c.subscribe(p)
	case packets.Unsubscribe:
		return c.unsubscribe(p)
	}
	return packets.ErrProtocolViolation // a second CONNECT among others
}

// subscribe grants the filters below the topics of the device.
func (c *conn) subscribe(p *packets.Packet) error {
	if code := p.SubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	if len(p.Properties.SubscriptionIdentifier) > 0 {
		return packets.ErrSubscriptionIdentifiersNotSupported
	}
	c.mu.Lock()
	filters := append([]Filter(nil), c.filters...)
	c.mu.Unlock()
	codes := make([]byte, len(p.Filters))
	for i, asked := range p.Filters {
		topic := strings.Clone(asked.Filter)
		at := -1
		for j, f := range filters {
			if f.Topic == topic {
				at = j
			}
		}
		switch {
		case strings.HasPrefix(topic, "$share/"):
			codes[i] = packets.ErrSharedSubscriptionsNotSupported.Code
		case !ownFilter(c.key.DeviceID, topic):
			codes[i] = packets.ErrNotAuthorized.Code
		case at < 0 && len(filters) >= c.l.limits.Subscriptions:
			codes[i] = packets.ErrQuotaExceeded.Code
		default:
			codes[i] = min(asked.Qos, 1)
			if at < 0 {
				filters = append(filters, Filter{topic, codes[i]})
			} else {
				filters[at].QoS = codes[i]
			}
		}
	}
	if err := c.storeFilters(filters); err != nil {
		for i := range codes {
			codes[i] = packets.ErrUnspecifiedError.Code
		}
	}
	for i := range codes {
		if c.version < 5 && codes[i] >= 0x80 {
			codes[i] = 0x80
		}
	}
	ack := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Suback}, ProtocolVersion: c.version, PacketID: p.PacketID, ReasonCodes: codes, Mods: c.mods(),
	}
	if err := c.enqueue(encode(&ack)); err != nil {
		return err
	}
	c.l.greet(c.key.DeviceID)
	return nil
}

// storeFilters replaces the filters, in the store too if the session outlives the connection.
func (c *conn) storeFilters(filters []Filter) error {
	if c.ttl > 0 && !slices.Equal(filters, c.filters) { // only this goroutine changes them
		ctx, cancel := context.WithTimeout(c.l.ctx, attemptTimeout)
		defer cancel()
		subscribe := func(ctx context.Context) error {
			return c.l.sessions.SubscribeSession(ctx, c.key, c.generation, filters)
		}
		if err := c.l.writes.do(ctx, c.key.DeviceID, subscribe); err != nil {
			c.l.logger.Warn("a subscription is not stored", "device", c.key.DeviceID, "error", err)
			return err
		}
	}
	c.mu.Lock()
	c.filters = filters
	c.mu.Unlock()
	return nil
}

func (c *conn) unsubscribe(p *packets.Packet) error {
	if code := p.UnsubscribeValidate(); code != packets.CodeSuccess {
		return code
	}
	c.mu.Lock()
	filters := append([]Filter(nil), c.filters...)
	c.mu.Unlock()
	codes := make([]byte, len(p.Filters))
	for i, asked := range p.Filters {
		codes[i] = packets.CodeNoSubscriptionExisted.Code
		for j, f := range filters {
			if f.Topic == asked.Filter {
				filters = append(filters[:j], filters[j+1:]...)
				codes[i] = packets.CodeSuccess.Code
				break
			}
		}
	}
	if err := c.storeFilters(filters); err != nil {
		return packets.ErrServerUnavailable
	}
	ack := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsuback}, ProtocolVersion: c.version, PacketID: p.PacketID, ReasonCodes: codes, Mods: c.mods(),
	}
	return c.enqueue(encode(&ack))
}

// disconnected reports whether the client cancelled its last will.
func (c *conn) disconnected(p *packets.Packet) (graceful bool) {
	if p.Properties.SessionExpiryIntervalFlag && c.ttl > 0 {
		c.ttl = sessionTTL(p.Properties.SessionExpiryInterval, c.l.limits.SessionTTL)
	}
	return p.ReasonCode != packets.CodeDisconnectWillMessage.Code
}

// fail closes the connection after a read error. An error of the client is sent to it, and noted.
func (c *conn) fail(err error) {
	code, ok := errors.AsType[packets.Code](err)
	switch {
	case ok:
		c.l.note(c.key.DeviceID, Closed, "a connection was closed: "+code.Reason, map[string]any{"clientId": c.key.ClientID, "code": code.Code})
		c.close(code)
	case isTimeout(err):
		c.close(packets.ErrKeepAliveTimeout)
	default:
		c.close(packets.CodeSuccess)
	}
	if !ok && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.l.logger.Debug("a connection of a device ended", "device", c.key.DeviceID, "error", err)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func encode(p *packets.Packet) []byte {
	var buf bytes.Buffer
	encoders := map[byte]func(*bytes.Buffer) error{
		packets.Connack: p.ConnackEncode, packets.Publish: p.PublishEncode, packets.Puback: p.PubackEncode,
		packets.Suback: p.SubackEncode, packets.Unsuback: p.UnsubackEncode, packets.Disconnect: p.DisconnectEncode,
	}
	_ = encoders[p.FixedHeader.Type](&buf) // fails only for a PUBLISH without a packet id
	return buf.Bytes()
}
