package ingress

import (
	"crypto/subtle"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// The headers of a reverse proxy in front of the handler.
const (
	ProxyTokenHeader = "Sluice-Proxy-Token"
	forwardedHeader  = "X-Forwarded-For"
)

// ServeHTTP serves MQTT over WebSocket (subprotocol mqtt). Any origin may connect: the credentials are in CONNECT.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-l.ready:
	default:
		http.Error(w, "devices are not accepted yet", http.StatusServiceUnavailable)
		return
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: l.limits.ConnectTimeout, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10,
		Subprotocols: []string{"mqtt"}, CheckOrigin: func(*http.Request) bool { return true },
	}
	address := addressOf(r.RemoteAddr)
	if token := l.options.ProxyToken; token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get(ProxyTokenHeader)), []byte(token)) == 1 {
		if first, _, _ := strings.Cut(r.Header.Get(forwardedHeader), ","); first != "" {
			address = strings.TrimSpace(first)
		}
	}
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has responded
	}
	if socket.Subprotocol() != "mqtt" {
		_ = socket.Close() // the client does not use MQTT
		return
	}
	l.serve(&webSocket{Conn: socket}, address)
}

// webSocket is a stream of the binary messages of a WebSocket.
type webSocket struct {
	*websocket.Conn
	message io.Reader // the rest of a message; nil between messages
}

var _ net.Conn = (*webSocket)(nil)

// Read implements net.Conn. A text message ends the connection.
func (s *webSocket) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, message, err := s.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, io.ErrUnexpectedEOF
			}
			s.message = message
		}
		n, err := s.message.Read(p)
		if err == io.EOF {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write writes p as one message.
func (s *webSocket) Write(p []byte) (int, error) {
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline sets both deadlines.
func (s *webSocket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}
