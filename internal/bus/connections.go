package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Connection is a device that came or went.
type Connection struct {
	User string
	Open bool // it came; else it went
	At   time.Time
}

const (
	neverIn         = "Authentication Failure" // why a connection that was refused has ended
	connectionQueue = "sluice"
	connectionsWait = 2 * time.Second        // for the first server to say who is connected
	connectionsGap  = 250 * time.Millisecond // after a server has spoken, for the next one
	connectionsPage = 1024                   // what a server tells at once
)

// Watch tells of devices that come and go, each to one of the processes that watch, until ctx ends.
// What happens while nobody watches is not told: Connected tells who is there.
func (f *Field) Watch(ctx context.Context, told func(Connection)) error {
	for _, what := range []string{"CONNECT", "DISCONNECT"} {
		subject := "$SYS.ACCOUNT." + globalAccount + "." + what
		sub, err := f.system.QueueSubscribe(subject, connectionQueue, func(m *nats.Msg) {
			var event struct {
				Reason string    `json:"reason"`
				Time   time.Time `json:"timestamp"`
				Client struct {
					User       string `json:"user"`
					ClientType string `json:"client_type"`
				} `json:"client"`
			}
			if err := json.Unmarshal(m.Data, &event); err != nil {
				f.bus.logger.Error("who came or went cannot be read", "error", err)
				return
			}
			if event.Reason == neverIn {
				return // anybody can name a device
			}
			if event.Client.ClientType == "mqtt" && event.Client.User != "" {
				told(Connection{User: event.Client.User, Open: what == "CONNECT", At: event.Time})
			}
		})
		if err != nil {
			return fmt.Errorf("watch who comes and goes: %w", err)
		}
		defer func() { _ = sub.Unsubscribe() }() // fails when the connection is closed
	}
	<-ctx.Done()
	return nil
}

// connection is one that a server tells of.
type connection struct {
	ID     uint64    `json:"cid"`
	User   string    `json:"authorized_user"`
	Type   string    `json:"type"`
	Start  time.Time `json:"start"`
	server string
}

// Connected gives the users that are connected over MQTT, at any of the brokers, and when the oldest
// connection of each began.
func (f *Field) Connected(ctx context.Context) (map[string]time.Time, error) {
	users := map[string]time.Time{}
	err := f.connections(ctx, "", func(c connection) {
		if oldest, known := users[c.User]; !known || c.Start.Before(oldest) {
			users[c.User] = c.Start
		}
	})
	return users, err
}

// Cut ends the connections of the user, wherever they are, and tells how many there were.
func (f *Field) Cut(ctx context.Context, user string) (int, error) {
	cut := 0
	var failure error
	err := f.connections(ctx, user, func(c connection) {
		request := fmt.Sprintf(`{"cid":%d}`, c.ID)
		if _, err := f.system.RequestWithContext(ctx, "$SYS.REQ.SERVER."+c.server+".KICK", []byte(request)); err != nil {
			failure = fmt.Errorf("cut a connection: %w", err)
			return
		}
		cut++
	})
	if err == nil {
		err = failure
	}
	return cut, err
}

// connections asks all brokers who is connected, page by page, as long as one has more to tell.
func (f *Field) connections(ctx context.Context, user string, found func(connection)) error {
	for offset, more := 0, true; more; offset += connectionsPage {
		replies, err := f.ask(ctx, "$SYS.REQ.SERVER.PING.CONNZ", map[string]any{
			"auth": true, "user": user, "acc": globalAccount, "offset": offset, "limit": connectionsPage, "sort": "cid",
		})
		if err != nil {
			return err
		}
		more = false
		for _, reply := range replies {
			for _, c := range reply.Data.Connections {
				if c.User == "" || !strings.HasPrefix(c.Type, "mqtt") {
					continue
				}
				c.server = reply.Server.ID
				found(c)
			}
			more = more || len(reply.Data.Connections) == connectionsPage
		}
	}
	return nil
}

type connectionsReply struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Data struct {
		Connections []connection `json:"connections"`
	} `json:"data"`
}

// ask gathers what the brokers answer. The embedded one is alone; of remote ones nobody knows how many
// they are, so it waits a little after each.
func (f *Field) ask(ctx context.Context, subject string, request any) ([]connectionsReply, error) {
	question, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("write the question: %w", err)
	}
	inbox := f.system.NewRespInbox()
	sub, err := f.system.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("ask the brokers: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails when the connection is closed
	if err := f.system.PublishRequest(subject, inbox, question); err != nil {
		return nil, fmt.Errorf("ask the brokers: %w", err)
	}
	var replies []connectionsReply
	for wait := connectionsWait; ; wait = connectionsGap {
		waiting, cancel := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(waiting)
		cancel()
		if err != nil && len(replies) > 0 && ctx.Err() == nil {
			return replies, nil
		}
		if err != nil {
			return nil, fmt.Errorf("ask the brokers: %w", err)
		}
		var reply connectionsReply
		if err := json.Unmarshal(m.Data, &reply); err != nil {
			return nil, fmt.Errorf("read what a broker answers: %w", err)
		}
		if replies = append(replies, reply); f.addr != "" {
			return replies, nil
		}
	}
}
