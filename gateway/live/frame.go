package live

import (
	"encoding/binary"
	"strings"

	"github.com/gorilla/websocket"
)

// The codes with which connections are closed: those of RFC 6455, section 7.4, and those that the
// protocols define.
const (
	closeNormal        = websocket.CloseNormalClosure
	closeGoingAway     = websocket.CloseGoingAway
	closeProtocol      = websocket.CloseProtocolError
	closePolicy        = websocket.ClosePolicyViolation
	closeTooBig        = websocket.CloseMessageTooBig
	closeRestart       = websocket.CloseServiceRestart
	closeTryAgain      = websocket.CloseTryAgainLater
	closeBadRequest    = 4400
	closeUnauthorized  = 4401
	closeForbidden     = 4403
	closeNoSubprotocol = 4406
	closeInitTimeout   = 4408
	closeDuplicate     = 4409
	closeSecondInit    = 4429
	closeInternal      = 4500
)

// closing is why a connection ends.
type closing struct {
	code   int
	reason string // at most maxReason bytes are told
}

const (
	finalText  = 0x81
	finalClose = 0x88
	finalPing  = 0x89
	finalPong  = 0x8a
	maxControl = 125
	maxReason  = maxControl - 2
)

// appendHeader adds the header of an unmasked, final frame (RFC 6455, section 5.2).
func appendHeader(b []byte, first byte, length int) []byte {
	switch {
	case length <= 125:
		return append(b, first, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, first, 127), uint64(length))
}

// textFrame is a text message.
func textFrame(message []byte) []byte {
	return append(appendHeader(make([]byte, 0, len(message)+10), finalText, len(message)), message...)
}

// controlFrame is a ping, pong or close; what is too long for one is cut off.
func controlFrame(first byte, payload []byte) []byte {
	payload = payload[:min(len(payload), maxControl)]
	return append(appendHeader(make([]byte, 0, len(payload)+2), first, len(payload)), payload...)
}

// closeFrame cuts the reason between letters: clients take half a letter for a fault of ours.
func closeFrame(c closing) []byte {
	reason := c.reason[:min(len(c.reason), maxReason)]
	if len(reason) < len(c.reason) {
		reason = strings.ToValidUTF8(reason, "")
	}
	return controlFrame(finalClose, websocket.FormatCloseMessage(c.code, reason))
}
