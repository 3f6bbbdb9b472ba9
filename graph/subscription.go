package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// Feed stands behind the root field of a subscription. A subscription runs once an event: executed
// under a Feed, its operation tells the Feed the Topic, and answers for the Entity if there is one.
type Feed struct {
	Topic  bff.Topic // told by the operation
	Entity bff.Node  // nil when only the topic is wanted
}

type feedKey struct{}

// WithFeed gives a context in which a subscription can be executed.
func WithFeed(ctx context.Context, feed *Feed) context.Context {
	return context.WithValue(ctx, feedKey{}, feed)
}

func (r subscriptionResolver) ActivityAdded(ctx context.Context, filter *bff.ActivityFilter) (<-chan *bff.Activity, error) {
	if filter != nil {
		if err := r.begins(ctx, filter.AccountID, filter.DeviceID); err != nil {
			return nil, err
		}
	}
	return answer[*bff.Activity](ctx, bff.Topic{Entity: entity.Activity, Filter: filter})
}

func (subscriptionResolver) DeviceChanged(ctx context.Context, filter *bff.DeviceFilter) (<-chan *bff.Device, error) {
	return answer[*bff.Device](ctx, bff.Topic{Entity: entity.Device, Filter: filter})
}

func (subscriptionResolver) TripChanged(ctx context.Context, id *string) (<-chan *bff.Trip, error) {
	topic := bff.Topic{Entity: entity.Trip}
	if id != nil {
		if err := checkID("id", ids.Trip, *id); err != nil {
			return nil, err
		}
		topic.ID = *id
	}
	return answer[*bff.Trip](ctx, topic)
}

func (r subscriptionResolver) JobChanged(ctx context.Context, filter *bff.JobFilter) (<-chan *bff.Job, error) {
	if filter != nil {
		if err := r.begins(ctx, nil, filter.DeviceID); err != nil {
			return nil, err
		}
	}
	return answer[*bff.Job](ctx, bff.Topic{Entity: entity.Job, Filter: filter})
}

func (subscriptionResolver) CommandOutput(ctx context.Context, commandID string) (<-chan *bff.LogLine, error) {
	if err := checkID("commandId", ids.Command, commandID); err != nil {
		return nil, err
	}
	return answer[*bff.LogLine](ctx, bff.Topic{Entity: entity.LogLine, ID: commandID})
}

// begins refuses to narrow a subscription by what a query refuses; its events are not asked about.
func (r subscriptionResolver) begins(ctx context.Context, accountID, deviceID *string) error {
	if feed, ok := ctx.Value(feedKey{}).(*Feed); !ok || feed.Entity != nil {
		return nil
	}
	for _, id := range optionalSlice(accountID) {
		if err := checkID("filter.accountId", ids.Account, id); err != nil {
			return err
		}
	}
	for _, id := range optionalSlice(deviceID) {
		if err := checkID("filter.deviceId", ids.Device, id); err != nil {
			return err
		}
	}
	return r.withinLimit(ctx, optionalSlice(deviceID)...)
}

// NeedsStream refuses a subscription on a way that has one answer.
func NeedsStream() error {
	return errs.New(errs.FailedPrecondition, "SUBSCRIPTION_NEEDS_STREAM", "subscribe over WebSocket, or with Accept: text/event-stream")
}

// answer tells the feed the topic, and gives its entity as the only event there is.
func answer[V bff.Node](ctx context.Context, topic bff.Topic) (<-chan V, error) {
	feed, ok := ctx.Value(feedKey{}).(*Feed)
	if !ok {
		return nil, NeedsStream()
	}
	feed.Topic = topic
	events := make(chan V, 1)
	if entity, ok := feed.Entity.(V); ok {
		events <- entity
	}
	close(events)
	return events, nil
}
