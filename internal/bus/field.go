package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// Field is where devices connect over MQTT: the embedded broker's listener, or those of a remote one.
//
// The broker keeps a message of quality of service 1 in the stream FieldStream before it acknowledges
// it (PUBACK), as far as somebody waits for it; opening the Field declares the consumer that does. So
// an acknowledged message is on disk until Consume has handled it. Messages of quality of service 0
// come through ConsumeUnkept, and are lost when nobody is there.
type Field struct {
	bus    *Bus
	system *nats.Conn // in the system account
	issuer nkeys.KeyPair
	addr   string
	asked  chan *nats.Msg // who may connect
}

// FieldStream is where an MQTT listener of NATS keeps messages of quality of service 1 and 2, for those
// who have asked for their subjects.
const FieldStream = "$MQTT_msgs"

const (
	fieldPrefix   = "$MQTT.msgs." // of the subjects in FieldStream
	fieldConsumer = "field"
	fieldAckWait  = 15 * time.Second
	// fieldPending is how many messages may be in work over all processes. It bounds what a restart
	// has to do again.
	fieldPending  = 20_000
	fieldMaxBytes = 1 << 30
	qosHeader     = "Nmqtt-Pub" // what MQTT messages carry within NATS: the quality of service first
	tlsTimeout    = 5.0         // seconds
)

// Field gives the part where devices connect; nil when they do not connect here.
func (b *Bus) Field() *Field { return b.field }

// Addr is where the embedded broker listens for devices; "" when a remote one does.
func (f *Field) Addr() string { return f.addr }

func (b *Bus) openField(ctx context.Context, options Options) (*Field, error) {
	f := &Field{bus: b}
	if err := f.connect(options); err != nil {
		return nil, err
	}
	if err := errors.Join(f.keep(ctx, options.Replicas), f.listen()); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// connect reaches the system account of the broker.
func (f *Field) connect(options Options) error {
	settings := []nats.Option{
		nats.Name(options.Name + " system"), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.IgnoreAuthErrorAbort(),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(unansweredPing), nats.Timeout(connectTimeout),
	}
	var err error
	if broker := f.bus.broker; broker != nil {
		identity, err := as(broker.gate.system)
		if err != nil {
			return err
		}
		settings = append(settings, nats.InProcessServer(broker.server), identity)
		f.issuer = broker.gate.issuer
		if f.addr, err = mqttAddr(options.Field.Addr, broker.server); err != nil {
			return err
		}
	} else if f.issuer, err = nkeys.FromSeed([]byte(options.Field.IssuerSeed)); err != nil {
		return fmt.Errorf("read the key that signs who devices are: %w", err)
	}
	if f.system, err = nats.Connect(options.Field.SystemURL, settings...); err != nil {
		return fmt.Errorf("reach the system account: %w", err)
	}
	return nil
}

func mqttAddr(wanted string, broker *server.Server) (string, error) {
	host, _, err := net.SplitHostPort(wanted)
	if err != nil {
		return "", err
	}
	told, err := broker.Varz(nil)
	if err != nil {
		return "", fmt.Errorf("find the port for devices: %w", err)
	}
	return net.JoinHostPort(host, strconv.Itoa(told.MQTT.Port)), nil
}

// keep declares the stream before the MQTT listener does with the first device, so that what the
// first device says is kept; and bounds it. When it is full, messages are not acknowledged, and
// devices send them again.
func (f *Field) keep(ctx context.Context, replicas int) error {
	config := jetstream.StreamConfig{
		Name: FieldStream, Subjects: []string{fieldPrefix + ">"}, Description: "What devices say and are told",
		Storage: jetstream.FileStorage, Retention: jetstream.InterestPolicy, Replicas: replicas,
		Discard: jetstream.DiscardNew, MaxBytes: fieldMaxBytes,
	}
	if known, err := f.bus.js.Stream(ctx, FieldStream); err == nil {
		config.Replicas = known.CachedInfo().Config.Replicas // the listener may have chosen
	}
	if _, err := f.bus.js.CreateOrUpdateStream(ctx, config); err != nil {
		return fmt.Errorf("declare the stream of devices: %w", err)
	}
	return nil
}

func (f *Field) close() {
	if f != nil && f.system != nil {
		f.system.Close()
	}
}

// Deliver hands the payload to those who are subscribed to the subject, at least once: to those of
// quality of service 1 and a lasting session also when they are away.
func (f *Field) Deliver(ctx context.Context, subject string, payload []byte) error {
	// As the listener does with a message of a device: one copy for those of quality 0, which the
	// others overlook by the header, and one to be kept for the others.
	now := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{qosHeader: {"1"}}}
	if err := f.bus.conn.PublishMsg(now); err != nil {
		return fmt.Errorf("send %.100q: %w", subject, err)
	}
	kept := &nats.Msg{Subject: fieldPrefix + subject, Data: payload, Header: now.Header}
	if _, err := f.bus.js.PublishMsg(ctx, kept); err != nil {
		return fmt.Errorf("keep %.100q: %w", subject, err)
	}
	return nil
}

// FieldMessage is what a device said.
type FieldMessage struct {
	Subject   string
	Data      []byte
	ArrivedAt time.Time
	Sequence  uint64 // of the kept; 0 of those that were not
}

// FieldHandler works on messages, and says of each whether it is done with: nil, or why it shall come
// again.
type FieldHandler func(ctx context.Context, batch []FieldMessage) []error

// FieldConsumption says how messages of devices are consumed.
type FieldConsumption struct {
	Subjects []string      // wildcards allowed
	Batch    int           // messages at once
	Workers  int           // batches at once
	Backoff  time.Duration // until a message that failed comes again
}

func (c FieldConsumption) filters() []string {
	filters := make([]string, len(c.Subjects))
	for i, subject := range c.Subjects {
		filters[i] = fieldPrefix + subject
	}
	return filters
}

// Declare makes sure that what devices say under the subjects is kept from now on until Consume has
// handled it.
func (f *Field) Declare(ctx context.Context, config FieldConsumption) error {
	_, err := f.declare(ctx, config)
	return err
}

func (f *Field) declare(ctx context.Context, config FieldConsumption) (jetstream.Consumer, error) {
	consumer, err := f.bus.js.CreateOrUpdateConsumer(ctx, FieldStream, jetstream.ConsumerConfig{
		Durable: fieldConsumer, FilterSubjects: config.filters(),
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: fieldAckWait, MaxDeliver: -1, MaxAckPending: fieldPending,
	})
	if err != nil {
		return nil, fmt.Errorf("declare the consumer of devices: %w", err)
	}
	return consumer, nil
}

// Consume hands what devices said to handle, shared with all processes that consume, until ctx ends.
func (f *Field) Consume(ctx context.Context, config FieldConsumption, handle FieldHandler) error {
	if err := f.Declare(ctx, config); err != nil {
		return err
	}
	ended := make(chan struct{}, config.Workers)
	for range config.Workers {
		go func() {
			defer func() { ended <- struct{}{} }()
			f.work(ctx, config, handle)
		}()
	}
	for range config.Workers {
		<-ended
	}
	return nil
}

// work fetches and handles batches until ctx ends. It declares the consumer again after a failure, as
// the failure may be that it was lost.
func (f *Field) work(ctx context.Context, config FieldConsumption, handle FieldHandler) {
	var consumer jetstream.Consumer
	failures := 0
	for ctx.Err() == nil {
		err := f.bus.Ready()
		if err == nil && consumer == nil {
			consumer, err = f.declare(ctx, config)
		}
		if err == nil {
			err = f.round(ctx, config, consumer, handle)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == 1 && ctx.Err() == nil {
			f.bus.logger.Warn("fetching messages of devices fails", "error", err)
		}
		consumer = nil
		pause(ctx, backoff(failures, fetchBackoff, fetchMaxWait))
	}
}

// round handles what one request brings: as much as waits, up to a batch.
func (f *Field) round(ctx context.Context, config FieldConsumption, consumer jetstream.Consumer, handle FieldHandler) error {
	deliveries, err := f.fetch(ctx, config, consumer)
	if err != nil || len(deliveries) == 0 {
		return err
	}
	batch := make([]FieldMessage, 0, len(deliveries))
	for _, d := range deliveries {
		m := FieldMessage{Subject: strings.TrimPrefix(d.Subject(), fieldPrefix), Data: d.Data()}
		if about, err := d.Metadata(); err == nil {
			m.ArrivedAt, m.Sequence = about.Timestamp, about.Sequence.Stream
		}
		batch = append(batch, m)
	}
	for i, failure := range handle(ctx, batch) {
		answer := deliveries[i].Ack
		if failure != nil {
			answer = func() error { return deliveries[i].NakWithDelay(config.Backoff) }
			f.bus.logger.Warn("a message of a device failed and comes again", "subject", batch[i].Subject, "error", failure)
		}
		if err := answer(); err != nil {
			return fmt.Errorf("answer the broker: %w", err)
		}
	}
	return nil
}

// fetch takes what is there at once; when nothing is, it waits for the first.
func (f *Field) fetch(ctx context.Context, config FieldConsumption, consumer jetstream.Consumer) ([]jetstream.Msg, error) {
	deliveries, err := consumer.FetchNoWait(config.Batch)
	all, err := gathered(deliveries, err)
	if err != nil || len(all) > 0 {
		return all, err
	}
	waiting, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	deliveries, err = consumer.Fetch(1, jetstream.FetchContext(waiting))
	all, err = gathered(deliveries, err)
	if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return nil, nil
	}
	return all, err
}

func gathered(batch jetstream.MessageBatch, err error) ([]jetstream.Msg, error) {
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	var all []jetstream.Msg
	for m := range batch.Messages() {
		all = append(all, m)
	}
	if len(all) > 0 {
		return all, nil // and what is wrong shows at the next fetch
	}
	return nil, batch.Error()
}

// ConsumeUnkept hands messages of quality of service 0 to handle, each to one process, until ctx ends.
// Those that come faster than they are handled are lost.
func (f *Field) ConsumeUnkept(ctx context.Context, config FieldConsumption, handle FieldHandler) error {
	arriving := make(chan *nats.Msg, config.Batch)
	for _, subject := range config.Subjects {
		sub, err := f.bus.conn.QueueSubscribe(subject, fieldConsumer, func(m *nats.Msg) {
			if !strings.HasPrefix(m.Header.Get(qosHeader), "0") {
				return
			}
			select {
			case arriving <- m:
			default:
			}
		})
		if err != nil {
			return fmt.Errorf("listen to devices: %w", err)
		}
		defer func() { _ = sub.Unsubscribe() }() // fails when the connection is closed
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-arriving:
			batch := []FieldMessage{{Subject: m.Subject, Data: m.Data, ArrivedAt: time.Now()}}
			for len(batch) < config.Batch && len(arriving) > 0 {
				m := <-arriving
				batch = append(batch, FieldMessage{Subject: m.Subject, Data: m.Data, ArrivedAt: time.Now()})
			}
			handle(ctx, batch)
		}
	}
}
