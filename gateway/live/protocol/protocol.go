// Package protocol decodes and encodes the messages of the two WebSocket protocols for GraphQL: graphql-transport-ws,
// and the older graphql-ws. A decoded message has a known type, a bounded id and a payload of the right JSON kind.
// Every error is safe to send to the client, as the reason of the close.
package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/internal/errs"
)

// The subprotocols of the libraries graphql-ws and subscriptions-transport-ws. The older protocol is called
// graphql-ws, like the newer library. https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md and
// https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
const (
	Subprotocol       = "graphql-transport-ws"
	LegacySubprotocol = "graphql-ws"
)

// Kind is the meaning of a client's message in both protocols.
type Kind int

// The kinds. Terminate exists in the older protocol only.
const (
	unknown Kind = iota
	Init
	Ping
	Pong
	Subscribe
	Complete
	Terminate
)

// Dialect is the message format of one protocol.
type Dialect struct {
	kinds     map[string]Kind
	next      string
	ErrorList bool   // the payload of an error message is a list of errors, not one error
	KeepAlive string // a keep-alive message; "" if a WebSocket ping is enough
}

// Of returns the dialect of a subprotocol; nil when the name is unknown.
func Of(subprotocol string) *Dialect { return dialects[subprotocol] }

// dialects are never written.
var dialects = map[string]*Dialect{
	Subprotocol: {next: "next", ErrorList: true, kinds: map[string]Kind{
		"connection_init": Init, "ping": Ping, "pong": Pong, "subscribe": Subscribe, "complete": Complete,
	}},
	LegacySubprotocol: {next: "data", KeepAlive: `{"type":"ka"}`, kinds: map[string]Kind{
		"connection_init": Init, "start": Subscribe, "stop": Complete, "connection_terminate": Terminate,
	}},
}

// Message is a message of a client.
type Message struct {
	Kind    Kind
	ID      string
	Payload json.RawMessage // nil when absent
}

// maxID bounds a subscription's id in bytes, because every message repeats it.
const maxID = 128

// Decode parses a message. The text of its error is for the client.
func (d *Dialect) Decode(text []byte) (Message, error) {
	var raw struct {
		Type    *string         `json:"type"`
		ID      *string         `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}
	if !utf8.Valid(text) { // neither gorilla nor encoding/json checks it, and a pong would repeat it
		return Message{}, errors.New("the message is not valid UTF-8")
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return Message{}, errors.New("a message must be a JSON object whose type and id are strings")
	}
	if raw.Type == nil {
		return Message{}, errors.New("the message has no type")
	}
	m := Message{Kind: d.kinds[*raw.Type]}
	if raw.ID != nil {
		m.ID = *raw.ID
	}
	if string(raw.Payload) != "null" {
		m.Payload = raw.Payload
	}
	switch m.Kind {
	case unknown:
		return Message{}, fmt.Errorf("there is no message of type %.30q", *raw.Type)
	case Subscribe, Complete:
		if m.ID == "" || len(m.ID) > maxID {
			return Message{}, fmt.Errorf("an id has 1 to %d bytes", maxID)
		}
	case Init, Ping, Pong:
		if m.Payload != nil && m.Payload[0] != '{' {
			return Message{}, errors.New("the payload must be an object")
		}
	}
	if m.Kind == Subscribe && (m.Payload == nil || m.Payload[0] != '{') {
		return Message{}, errors.New("subscribe needs a payload that is an object")
	}
	return m, nil
}

// Operation decodes the payload of a subscribe message.
func Operation(limits gqlrequest.Limits, text json.RawMessage) (*graphql.RawParams, error) {
	request, err := limits.Read(text)
	if err != nil {
		return nil, errors.New(errs.From(err).Message)
	}
	return &graphql.RawParams{
		Query: request.Query, OperationName: request.OperationName, Variables: request.Variables, Extensions: request.Extensions,
	}, nil
}

// Credentials decodes the credentials in the payload of connection_init or ping: Authorization as in the header, or
// an API key as X-API-Key or apiKey, in any case.
func Credentials(payload json.RawMessage) (auth.Credentials, error) {
	if payload == nil {
		return auth.Credentials{}, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(payload, &fields); err != nil {
		return auth.Credentials{}, errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "the payload must be an object")
	}
	header := http.Header{}
	for name, value := range fields {
		text, ok := value.(string)
		if !ok || text == "" {
			continue
		}
		switch strings.ToLower(name) {
		case "authorization":
			header.Add("Authorization", text)
		case "x-api-key", "apikey":
			header.Add("X-API-Key", text)
		}
	}
	return auth.FromHeader(header)
}

// AppendNext appends the frame of a message with the response of an operation. The id is in JSON.
func (d *Dialect) AppendNext(b []byte, id string, payload []byte) []byte {
	length := len(`{"id":,"type":"","payload":}`) + len(id) + len(d.next) + len(payload)
	b = frame.AppendTextHeader(b, length)
	b = append(append(b, `{"id":`...), id...)
	b = append(append(b, `,"type":"`...), d.next...)
	b = append(append(b, `","payload":`...), payload...)
	return append(b, '}')
}

// Encode returns the frame of any other message. The id and the payload are in JSON; "" and nil omit them.
func Encode(kind, id string, payload []byte) []byte {
	b := append([]byte(`{"type":"`), kind...)
	b = append(b, '"')
	if id != "" {
		b = append(append(b, `,"id":`...), id...)
	}
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return frame.Text(append(b, '}'))
}
