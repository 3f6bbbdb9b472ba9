package live

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
	"github.com/sluicehq/sluice/internal/errs"
)

// The sub-protocols, the better one first: that of graphql-ws, and the older one of
// subscriptions-transport-ws, which confusingly is the one that is called graphql-ws.
//
// https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
// https://github.com/apollographql/subscriptions-transport-ws/blob/master/PROTOCOL.md
const (
	subprotocol       = "graphql-transport-ws"
	legacySubprotocol = "graphql-ws"
)

// kind is what a message of a client means in either protocol.
type kind int

const (
	unknownMessage kind = iota
	initMessage
	pingMessage
	pongMessage
	subscribeMessage
	completeMessage
	terminateMessage
)

// dialect is how a protocol names things.
type dialect struct {
	kinds map[string]kind
	next  string
	list  bool   // an error message carries a list of errors, and not one
	alive string // a message that is a sign of life; "" for a ping of the WebSocket
}

// dialects are never written.
var dialects = map[string]*dialect{
	subprotocol: {next: "next", list: true, kinds: map[string]kind{
		"connection_init": initMessage, "ping": pingMessage, "pong": pongMessage, "subscribe": subscribeMessage, "complete": completeMessage,
	}},
	legacySubprotocol: {next: "data", alive: `{"type":"ka"}`, kinds: map[string]kind{
		"connection_init": initMessage, "start": subscribeMessage, "stop": completeMessage, "connection_terminate": terminateMessage,
	}},
}

// message is one from a client.
type message struct {
	kind    kind
	id      string
	payload json.RawMessage // nil when it has none
}

// maxID is how long the id of a subscription may be: it is written with every message.
const maxID = 128

// decode reads a message; an error of it says what is wrong, to the client.
func (d *dialect) decode(text []byte) (message, error) {
	var raw struct {
		Type    *string         `json:"type"`
		ID      *string         `json:"id"`
		Payload json.RawMessage `json:"payload"`
	}
	if !utf8.Valid(text) { // neither gorilla nor package json minds, and a pong would say it again
		return message{}, errors.New("the message is no UTF-8")
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return message{}, errors.New("a message must be a JSON object whose type and id are texts")
	}
	if raw.Type == nil {
		return message{}, errors.New("the message has no type")
	}
	m := message{kind: d.kinds[*raw.Type]}
	if raw.ID != nil {
		m.id = *raw.ID
	}
	if string(raw.Payload) != "null" {
		m.payload = raw.Payload
	}
	switch m.kind {
	case unknownMessage:
		return message{}, fmt.Errorf("there is no message of type %.30q", *raw.Type)
	case subscribeMessage, completeMessage:
		if m.id == "" || len(m.id) > maxID {
			return message{}, fmt.Errorf("an id has 1 to %d bytes", maxID)
		}
	case initMessage, pingMessage, pongMessage:
		if m.payload != nil && m.payload[0] != '{' {
			return message{}, errors.New("the payload must be an object")
		}
	}
	if m.kind == subscribeMessage && (m.payload == nil || m.payload[0] != '{') {
		return message{}, errors.New("subscribe needs a payload that is an object")
	}
	return m, nil
}

// operationPayload reads the payload of subscribe.
func operationPayload(limits gqlrequest.Limits, text json.RawMessage) (*graphql.RawParams, error) {
	asked, err := limits.Read(text)
	if err != nil {
		return nil, errors.New(errs.From(err).Message)
	}
	return &graphql.RawParams{
		Query: asked.Query, OperationName: asked.OperationName, Variables: asked.Variables, Extensions: asked.Extensions,
	}, nil
}

// after is the cursor to resume after, or "".
func after(params *graphql.RawParams) (string, error) {
	switch cursor := params.Extensions["after"].(type) {
	case nil:
		return "", nil
	case string:
		return cursor, nil
	}
	return "", invalidCursor()
}

// credentialsOf reads what connection_init presents: an Authorization like the header's, or an API key
// under the header's name or apiKey. Names are compared without case.
func credentialsOf(payload json.RawMessage) (auth.Credentials, error) {
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

// appendNext adds the frame of a message with an answer.
func (d *dialect) appendNext(b []byte, id string, payload []byte) []byte {
	length := len(`{"id":,"type":"","payload":}`) + len(id) + len(d.next) + len(payload)
	b = appendHeader(b, finalText, length)
	b = append(append(b, `{"id":`...), id...)
	b = append(append(b, `,"type":"`...), d.next...)
	b = append(append(b, `","payload":`...), payload...)
	return append(b, '}')
}

// reply is a message without an answer. The payload is JSON, or nil for none.
func reply(kind, id string, payload []byte) []byte {
	b := append([]byte(`{"type":"`), kind...)
	b = append(b, '"')
	if id != "" {
		b = append(append(b, `,"id":`...), id...)
	}
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return textFrame(append(b, '}'))
}
