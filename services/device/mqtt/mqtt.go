// Package mqtt joins the device service with the part of the broker where devices connect.
//
// It lets in devices with their id as user name and their secret as password, under a client id of
// their own, and grants them their own topics only. It hands what they say to the service, in batches
// that any number of processes share; a message that the broker has acknowledged is handled, whatever
// process ends in between. It tells presence who comes, goes and speaks, and cuts who may not be
// connected any more.
package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

const prefix = "devices."

// How messages are taken.
const (
	batch   = 500             // messages at once
	workers = 2               // batches at once; more wait for each other in the store
	again   = 2 * time.Second // until a message that failed is redelivered
)

// Link is the way to devices. It is safe for concurrent use.
type Link struct {
	field  *bus.Field
	logger *slog.Logger
}

// New makes the way over the field.
func New(field *bus.Field, logger *slog.Logger) *Link { return &Link{field: field, logger: logger} }

// Deliver sends a message to the device: see device.Downlink.
func (l *Link) Deliver(ctx context.Context, deviceID string, topic device.DownTopic, payload []byte) error {
	return l.field.Deliver(ctx, subject(deviceID, string(topic)), payload)
}

// Cut ends the connections of the device: see device.Connections.
func (l *Link) Cut(ctx context.Context, deviceID string) error {
	_, err := l.field.Cut(ctx, deviceID)
	return err
}

// Connected returns who is connected and since when: see presence.Broker.
func (l *Link) Connected(ctx context.Context) (map[string]time.Time, error) {
	return l.field.Connected(ctx)
}

// Check cuts those of the connected who may not be: see presence.Options.
func (l *Link) Check(r *registry.Service) func(context.Context, map[string]time.Time) error {
	return func(ctx context.Context, connected map[string]time.Time) error {
		strangers, err := r.Strangers(ctx, connected)
		for _, id := range strangers {
			l.logger.Info("a device is cut that may not be connected any more", "device", id)
			err = errors.Join(err, l.Cut(ctx, id))
		}
		return err
	}
}

// Run lets devices in and hands what they say to the uplink until ctx ends.
func (l *Link) Run(ctx context.Context, r *registry.Service, u *uplink.Service, keeper *presence.Keeper) error {
	config := consumption()
	if err := l.field.Declare(ctx, config); err != nil {
		return err
	}
	take := l.taking(u, keeper)
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return l.field.Watch(ctx, l.noticing(ctx, keeper)) })
	parts.Go(func() error { return l.field.Consume(ctx, config, take) })
	parts.Go(func() error { return l.field.ConsumeUnkept(ctx, config, take) })
	parts.Go(func() error { return l.field.Admit(ctx, l.admitting(r)) })
	return parts.Wait()
}

func consumption() bus.FieldConsumption {
	config := bus.FieldConsumption{Batch: batch, Workers: workers, Backoff: again}
	for _, topic := range device.UpTopics() {
		config.Subjects = append(config.Subjects, subject("*", string(topic)))
	}
	return config
}

// subject is a topic within the broker, where "." stands for "/".
func subject(deviceID, topic string) string {
	return prefix + deviceID + "." + strings.ReplaceAll(topic, "/", ".")
}

// parse takes apart what subject made.
func parse(subject string) (deviceID string, topic device.UpTopic, ok bool) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return "", "", false
	}
	deviceID, after, ok := strings.Cut(rest, ".")
	return deviceID, device.UpTopic(strings.ReplaceAll(after, ".", "/")), ok
}

func (l *Link) noticing(ctx context.Context, keeper *presence.Keeper) func(bus.Connection) {
	return func(c bus.Connection) {
		kind := presence.Disconnected
		if c.Open {
			kind = presence.Connected
		}
		keeper.Notice(ctx, presence.Signal{DeviceID: c.User, Kind: kind, At: c.At})
	}
}

func (l *Link) taking(u *uplink.Service, keeper *presence.Keeper) bus.FieldHandler {
	return func(ctx context.Context, arrived []bus.FieldMessage) []error {
		outcomes := make([]error, len(arrived))
		messages, of := make([]device.UpMessage, 0, len(arrived)), make([]int, 0, len(arrived))
		for i, m := range arrived {
			id, topic, ok := parse(m.Subject)
			if !ok {
				continue // cannot be: the subjects are those that were requested
			}
			keeper.Notice(ctx, presence.Signal{DeviceID: id, Kind: presence.Active, At: m.ArrivedAt})
			messages, of = append(messages, device.UpMessage{
				DeviceID: id, Topic: topic, Payload: m.Data, ArrivedAt: m.ArrivedAt, Sequence: m.Sequence,
			}), append(of, i)
		}
		for i, err := range u.TakeAll(ctx, messages) {
			outcomes[of[i]] = err
		}
		return outcomes
	}
}

// admitting decides who may connect. What goes wrong on our side is logged; the device learns only
// that it may not.
func (l *Link) admitting(r *registry.Service) func(context.Context, bus.Applicant) (bus.Grant, error) {
	return func(ctx context.Context, who bus.Applicant) (bus.Grant, error) {
		if !ownClientID(who.User, who.ClientID) {
			return bus.Grant{}, fmt.Errorf("the client id must be the user name, or begin with it and a dash")
		}
		if err := r.Authenticate(ctx, who.User, who.Password); err != nil {
			l.logger.Debug("a device is refused", "device", who.User, "error", err)
			return bus.Grant{}, errors.New("refused")
		}
		own := prefix + who.User
		grant := bus.Grant{Subscribe: []string{own, own + ".>"}}
		for _, topic := range device.UpTopics() {
			grant.Publish = append(grant.Publish, subject(who.User, string(topic)))
		}
		return grant, nil
	}
}

// ownClientID reports whether the client id cannot be another device's, since the client that connects under a
// client id takes its session over. The broker assigns 22 random letters and digits to a client without one.
func ownClientID(user, id string) bool {
	if user == "" || id == user || strings.HasPrefix(id, user+"-") {
		return user != ""
	}
	const random = 22
	return len(id) == random && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
