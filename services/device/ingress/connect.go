package ingress

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
)

const (
	maxConnect   = 8 << 10 // bytes of CONNECT
	maxWillDelay = 5 * time.Minute
	// acquireTimeout bounds the wait for the database, in which all devices may queue after an outage.
	acquireTimeout = 20 * time.Second
	awayPause      = time.Second // before a client is refused during an outage
	receiveMax     = 1_000       // messages that a client may send without PUBACK
)

func (c *conn) connect() bool {
	_ = c.net.SetDeadline(time.Now().Add(c.l.limits.ConnectTimeout)) // a closed connection fails below
	p, _, err := readPacket(c.r, c.version, maxConnect)
	if err != nil || p.FixedHeader.Type != packets.Connect {
		return false
	}
	c.version = p.ProtocolVersion
	if code := c.check(p); code != packets.CodeSuccess {
		return c.refuse(code)
	}
	c.key = Key{DeviceID: strings.Clone(string(p.Connect.Username)), ClientID: strings.Clone(p.Connect.ClientIdentifier)}
	secret := string(p.Connect.Password)
	ctx, cancel := context.WithTimeout(c.l.ctx, acquireTimeout)
	defer cancel()
	if err := c.l.registry.Authenticate(ctx, c.key.DeviceID, secret); err != nil {
		return c.refuseSecret(ctx, err)
	}
	c.l.guests.remove(c) // the limits of the device apply from here
	assigned := c.key.ClientID == ""
	if assigned {
		c.key.ClientID = c.key.DeviceID + "-" + rand.Text()[:12]
	}
	if c.key.ClientID != c.key.DeviceID && !strings.HasPrefix(c.key.ClientID, c.key.DeviceID+"-") {
		c.l.note(c.key.DeviceID, Refused, "a connection was refused: the client id must be the device id, or begin with it and a dash",
			map[string]any{"clientId": fmt.Sprintf("%.100s", c.key.ClientID)})
		return c.refuse(packets.ErrClientIdentifierNotValid)
	}
	c.accept(p)
	c.limiter = c.l.limiters.get(c.key.DeviceID)
	delay, ok := c.limiter.reserveConnect()
	if !ok {
		c.l.note(c.key.DeviceID, Refused, "connections were refused: it connects too often", map[string]any{"clientId": c.key.ClientID})
		return c.refuse(packets.ErrConnectionRateExceeded)
	}
	if delay > 0 {
		c.throttle(delay)
	}
	return c.own(ctx, p, secret, assigned)
}

// check refuses a CONNECT that the server cannot serve.
func (c *conn) check(p *packets.Packet) packets.Code {
	if code := p.ConnectValidate(); code != packets.CodeSuccess {
		return code
	}
	switch {
	case p.ProtocolVersion == 3:
		return packets.ErrUnsupportedProtocolVersion
	case p.Connect.ClientIdentifier == "" && !p.Connect.Clean && p.ProtocolVersion == 4:
		return packets.ErrClientIdentifierNotValid
	case p.Connect.WillFlag && p.Connect.WillQos > 1:
		return packets.ErrQosNotSupported
	case p.Properties.AuthenticationMethod != "":
		return packets.ErrBadAuthenticationMethod
	}
	return packets.CodeSuccess
}

// accept takes the parameters of the connection.
func (c *conn) accept(p *packets.Packet) {
	c.ttl = 0
	switch {
	case c.version == 5:
		c.ttl = sessionTTL(p.Properties.SessionExpiryInterval, c.l.limits.SessionTTL)
	case !p.Connect.Clean:
		c.ttl = c.l.limits.SessionTTL
	}
	if n := int(p.Properties.ReceiveMaximum); n > 0 {
		c.receiveMax = min(n, maxInflight)
	}
	c.maxOutgoing = int(p.Properties.MaximumPacketSize)
	c.terse = p.Properties.RequestProblemInfoFlag && p.Properties.RequestProblemInfo == 0
	if p.Connect.WillFlag {
		delay := min(time.Duration(p.Connect.WillProperties.WillDelayInterval)*time.Second, maxWillDelay, c.ttl)
		c.will = &Will{c.message(p.Connect.WillTopic, p.Connect.WillPayload), delay}
	}
}

func sessionTTL(seconds uint32, most time.Duration) time.Duration {
	if seconds == math.MaxUint32 {
		return most
	}
	return min(time.Duration(seconds)*time.Second, most)
}

// own acquires the session, and sends CONNACK.
func (c *conn) own(ctx context.Context, p *packets.Packet, secret string, assigned bool) bool {
	claim := Claim{
		Key: c.key, SecretHash: registry.HashSecret(secret), Clean: p.Connect.Clean, TTL: c.ttl, Limit: c.l.limits.Connections, Will: c.will,
		Now: c.l.options.Clock.Now(),
	}
	var owned Ownership
	err := c.l.writes.do(ctx, c.key.DeviceID, func(ctx context.Context) (err error) {
		owned, err = c.l.sessions.AcquireSession(ctx, claim)
		return err
	})
	if errors.Is(err, ErrSecretChanged) {
		return c.refuse(packets.ErrBadUsernameOrPassword)
	}
	if err != nil {
		return c.refuseAway(err)
	}
	c.generation = owned.Generation
	c.l.losing(owned)
	keepAlive := time.Duration(p.Connect.Keepalive) * time.Second
	shortened := keepAlive == 0 || keepAlive > c.l.limits.MaxKeepAlive
	if shortened {
		keepAlive = c.l.limits.MaxKeepAlive
	}
	_ = c.net.SetDeadline(time.Time{}) // a closed connection fails below
	c.keepAlive = keepAlive + keepAlive/2
	if !c.l.add(c) {
		c.close(takenOver)
		c.end(true)
		return false
	}
	if err := c.enqueue(c.connack(p, owned.Present, assigned, shortened, keepAlive)); err != nil {
		c.end(true)
		return false
	}
	c.mu.Lock()
	c.filters = owned.Filters
	c.mu.Unlock()
	c.l.tracker.Notice(c.l.ctx, presence.Signal{DeviceID: c.key.DeviceID, Kind: presence.Connected, At: c.l.options.Clock.Now()})
	if len(owned.Filters) > 0 {
		c.l.greet(c.key.DeviceID)
	}
	return true
}

// connack announces the limits of the server.
func (c *conn) connack(p *packets.Packet, present, assigned, shortened bool, keepAlive time.Duration) []byte {
	ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: c.version, SessionPresent: present, Mods: c.mods()}
	if c.version < 5 {
		return encode(&ack)
	}
	ack.Properties = packets.Properties{
		MaximumQosFlag: true, MaximumQos: 1, ReceiveMaximum: receiveMax, MaximumPacketSize: uint32(c.l.limits.MaxPacket),
		SubIDAvailableFlag: true, SharedSubAvailableFlag: true,
	}
	if asked := p.Properties.SessionExpiryInterval; asked > 0 && time.Duration(asked)*time.Second != c.ttl {
		ack.Properties.SessionExpiryIntervalFlag, ack.Properties.SessionExpiryInterval = true, uint32(c.ttl/time.Second)
	}
	if shortened {
		ack.Properties.ServerKeepAliveFlag, ack.Properties.ServerKeepAlive = true, uint16(keepAlive/time.Second)
	}
	if assigned {
		ack.Properties.AssignedClientID = c.key.ClientID
	}
	return encode(&ack)
}

// refuseSecret refuses a client with a wrong secret, with a delay that grows with the failures of its address. A
// correct secret is never delayed. An outage of the store does not count as a failure.
func (c *conn) refuseSecret(ctx context.Context, err error) bool {
	if errs.From(err).Code != errs.Unauthenticated {
		return c.refuseAway(err)
	}
	if device.CheckID("id", c.key.DeviceID) == nil {
		c.l.noteExisting(ctx, c.key.DeviceID, c.address)
	}
	sleep(c.l.ctx, c.l.guests.fail(c.address))
	return c.refuse(packets.ErrBadUsernameOrPassword)
}

func (l *Listener) noteExisting(ctx context.Context, deviceID, address string) {
	if l.registry.Exists(ctx, deviceID) {
		l.note(deviceID, Refused, "a connection was refused: wrong secret", map[string]any{"address": address})
	}
}

// refuseAway refuses a client during an outage, after a pause that slows retries.
func (c *conn) refuseAway(err error) bool {
	c.l.logger.Warn("a device cannot connect now", "error", err)
	sleep(c.l.ctx, awayPause)
	return c.refuse(packets.ErrServerUnavailable)
}

func (c *conn) refuse(code packets.Code) bool {
	ack := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: c.version, ReasonCode: code.Code}
	if c.version == 5 {
		ack.Properties.ReasonString = code.Reason
	} else {
		ack.ProtocolVersion, ack.ReasonCode = 4, 0x05 // not authorized
		switch code.Code {
		case packets.ErrUnsupportedProtocolVersion.Code, packets.ErrProtocolViolationProtocolVersion.Code:
			ack.ReasonCode = 0x01
		case packets.ErrClientIdentifierNotValid.Code:
			ack.ReasonCode = 0x02
		case packets.ErrServerUnavailable.Code, packets.ErrConnectionRateExceeded.Code:
			ack.ReasonCode = 0x03
		}
	}
	_ = c.enqueue(encode(&ack)) // the connection ends in any case
	return false
}
