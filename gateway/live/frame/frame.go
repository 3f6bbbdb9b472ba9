// Package frame encodes WebSocket frames (RFC 6455) and writes them without a goroutine per connection. A Writer
// blocks only in Push. The queue of a client is bounded, and the client receives whole messages in order. A client
// that accepts no bytes within the write timeout loses its queue, and is closed with CloseTryAgain.
package frame

import (
	"encoding/binary"
	"strings"

	"github.com/gorilla/websocket"
)

// The close codes of RFC 6455, section 7.4, and of the GraphQL protocols.
const (
	CloseNormal        = websocket.CloseNormalClosure
	CloseGoingAway     = websocket.CloseGoingAway
	CloseProtocol      = websocket.CloseProtocolError
	ClosePolicy        = websocket.ClosePolicyViolation
	CloseTooBig        = websocket.CloseMessageTooBig
	CloseRestart       = websocket.CloseServiceRestart
	CloseTryAgain      = websocket.CloseTryAgainLater
	CloseBadRequest    = 4400
	CloseUnauthorized  = 4401
	CloseForbidden     = 4403
	CloseNoSubprotocol = 4406
	CloseInitTimeout   = 4408
	CloseDuplicate     = 4409
	CloseSecondInit    = 4429
	CloseInternal      = 4500
)

// Close is the reason of the end of a connection, truncated to maxReason bytes.
type Close struct {
	Code   int
	Reason string
}

const (
	finalText  = 0x81
	finalClose = 0x88
	finalPing  = 0x89
	finalPong  = 0x8a
	maxControl = 125
	maxReason  = maxControl - 2
)

// AppendTextHeader appends the header of a text message with a payload of length bytes.
func AppendTextHeader(b []byte, length int) []byte { return appendHeader(b, finalText, length) }

func appendHeader(b []byte, first byte, length int) []byte {
	switch {
	case length <= 125:
		return append(b, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(length))
}

// Text returns the frame of a text message.
func Text(message []byte) []byte {
	return append(AppendTextHeader(make([]byte, 0, len(message)+10), len(message)), message...)
}

// Ping returns a ping without a payload.
func Ping() []byte { return control(finalPing, nil) }

// Pong returns the response to a ping.
func Pong(payload []byte) []byte { return control(finalPong, payload) }

// Pong returns the response to a ping.
func IsClose(frame []byte) bool { return len(frame) > 0 && frame[0] == finalClose }

// Frame returns the close frame. It cuts the reason between characters, because clients refuse invalid UTF-8.
func (c Close) Frame() []byte {
	reason := c.Reason[:min(len(c.Reason), maxReason)]
	if len(reason) < len(c.Reason) {
		reason = strings.ToValidUTF8(reason, "")
	}
	return control(finalClose, websocket.FormatCloseMessage(c.Code, reason))
}

// control returns a ping, pong or close frame with a truncated payload.
func control(first byte, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(appendHeader(make([]byte, 0, len(payload)+2), first, len(payload)), payload...)
}
