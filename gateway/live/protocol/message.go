// Package protocol decodes and encodes the messages of the two WebSocket protocols for GraphQL: graphql-transport-ws, and the
// older graphql-ws.
//
// It promises that a decoded message has a known type, a bounded id and a payload of the right JSON kind. Every error is safe
// to send to the client. The caller closes the connection with the error as its reason.
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

// The sub-protocols, the better one first: that of graphql-ws, and the older one of
// subscriptions-transport-ws, which confusingly is the one that is called graphql-ws.
//
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
// https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
const (
	Subprotocol       = "graphql-transport-ws"
	LegacySubprotocol = "graphql-ws"
)

// Kind is what a message of a client means in either protocol.
type Kind int

const (
	unknown Kind = iota
	Init
	Ping
	Pong
	Subscribe
	Complete
	Terminate
)

// Dialect is how a protocol names things.
type Dialect struct {
	kinds map[string]Kind
	next  string
	List  bool   // an error message carries a list of errors, and not one
	Alive string // a message that is a sign of life; "" for a ping of the WebSocket
}

// Of is the dialect of a subprotocol; nil when there is none of the name.
func Of(subprotocol string) *Dialect { return dialects[subprotocol] }

// dialects are never written.
var dialects = map[string]*Dialect{
	Subprotocol: {next: "next", List: true, kinds: map[string]Kind{
		"connection_init": Init, "ping": Ping, "pong": Pong, "subscribe": Subscribe, "complete": Complete,
	}},
	LegacySubprotocol: {next: "data", Alive: `{"type":"ka"}`, kinds: map[string]Kind{
		"connection_init": Init, "start": Subscribe, "stop": Complete, "connection_terminate": Terminate,
	}},
}

// Message is one from a client.
type Message struct {
	Kind    Kind
	ID      string
	Payload json.RawMessage // nil when it has none
}

// maxID is how long the id of a subscription may be: it is written with every message.
const maxID = 128

// Decode reads a message; an error of it says what is wrong, to the client.
func (d *Dialect) Decode(text []byte) (Message, error) {
	var raw struct {
		Type    *string         `json:"type"`
		ID      *string         `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}
	if !utf8.Valid(text) { // neither gorilla nor package json minds, and a pong would say it again
		return Message{}, errors.New("the message is no UTF-8")
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return Message{}, errors.New("a message must be a JSON object whose type and id are texts")
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

// Operation reads the payload of subscribe.
func Operation(limits gqlrequest.Limits, text json.RawMessage) (*graphql.RawParams, error) {
	asked, err := limits.Read(text)
	if err != nil {
		return nil, errors.New(errs.From(err).Message)
	}
	return &graphql.RawParams{
		Query: asked.Query, OperationName: asked.OperationName, Variables: asked.Variables, Extensions: asked.Extensions,
	}, nil
}

// Credentials reads what connection_init presents: an Authorization like the header's, or an API key
// under the header's name or apiKey. Names are compared without case.
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

// AppendNext adds the frame of a message with an answer.
func (d *Dialect) AppendNext(b []byte, id string, payload []byte) []byte {
	length := len(`{"id":,"type":"","payload":}`) + len(id) + len(d.next) + len(payload)
	b = frame.AppendTextHeader(b, length)
	b = append(append(b, `{"id":`...), id...)
	b = append(append(b, `,"type":"`...), d.next...)
	b = append(append(b, `","payload":`...), payload...)
	return append(b, '}')
}

// Encode is a message without an answer. The payload is JSON, or nil for none.
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
