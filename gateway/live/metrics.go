package live

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/internal/entity"
)

// metrics are updated with and without a registry. Every label has a few known values.
type metrics struct {
	registry      prometheus.Registerer // nil: not exported
	connections   atomic.Int64
	subscriptions atomic.Int64
	queued        atomic.Int64 // bytes

	gauges        []prometheus.Collector
	opened        *prometheus.CounterVec // by transport
	closed        *prometheus.CounterVec // by transport and code
	started       prometheus.Counter
	ended         *prometheus.CounterVec // by reason
	events        *prometheus.CounterVec // by entity
	executions    prometheus.Counter
	messages      prometheus.Counter
	replays       prometheus.Counter
	slowConsumers prometheus.Counter
	catchingUp    prometheus.Gauge
	gaps          prometheus.Counter
	delivery      *deliveryHistogram
}

func newMetrics(registry prometheus.Registerer, h *Hub) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_live_" + name, Help: help})
	}
	by := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_live_" + name, Help: help}, labels)
	}
	m := &metrics{
		opened:        by("connections_opened_total", "Connections that were accepted.", "transport"),
		closed:        by("connections_closed_total", "Connections that have ended, by the code of their close.", "transport", "code"),
		started:       counter("subscriptions_started_total", "Subscriptions that were admitted."),
		ended:         by("subscriptions_ended_total", "Subscriptions that have ended.", "reason"),
		events:        by("events_total", "Events that were received from the broker.", "entity"),
		executions:    counter("executions_total", "Executions of an operation for an event."),
		messages:      counter("messages_total", "Messages with an event that were written or queued."),
		replays:       counter("replays_total", "Subscriptions that resumed from a cursor."),
		slowConsumers: counter("slow_consumers_total", "Times that a subscription left the broadcast because its client was slow."),
		gaps:          counter("gaps_total", "Gaps that were sent to subscribers: ranges of lost events."),
		catchingUp:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_live_catching_up_subscriptions", Help: "Subscriptions that replay the stream until they join the broadcast."}),
		delivery:      newDeliveryHistogram("sluice_live_delivery_seconds", "Time from the commit of an event to its message on the socket, in broadcast."),
	}
	m.gauges = m.gaugesOf(h)
	if registry == nil {
		return m, nil
	}
	for _, c := range m.collectors() {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of subscriptions: %w", err)
		}
	}
	m.registry = registry
	return m, nil
}

func (m *metrics) gaugesOf(h *Hub) []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_live_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("connections", "Connections that are open.", func() float64 { return float64(m.connections.Load()) }),
		gauge("subscriptions", "Subscriptions that are open.", func() float64 { return float64(m.subscriptions.Load()) }),
		gauge("queued_bytes", "Bytes in the queues of slow consumers.", func() float64 { return float64(m.queued.Load()) }),
		gauge("groups", "Groups of equal subscriptions.", func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(len(h.groups))
		}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return append([]prometheus.Collector{
		m.opened, m.closed, m.started, m.ended, m.events, m.executions, m.messages, m.replays, m.slowConsumers, m.catchingUp, m.gaps, m.delivery,
	}, m.gauges...)
}

func (m *metrics) unregister() {
	if m.registry == nil {
		return
	}
	for _, c := range m.collectors() {
		m.registry.Unregister(c)
	}
}

func (m *metrics) open() int64 { return m.connections.Load() }

func (m *metrics) connected(transport string) {
	m.connections.Add(1)
	m.opened.WithLabelValues(transport).Inc()
}

func (m *metrics) disconnected(transport string, code int) {
	m.connections.Add(-1)
	m.closed.WithLabelValues(transport, codeLabel(code)).Inc()
}

func codeLabel(code int) string {
	switch code {
	case frame.CloseNormal, frame.CloseGoingAway, frame.CloseProtocol, frame.ClosePolicy, frame.CloseTooBig, frame.CloseRestart, frame.CloseTryAgain, frame.CloseBadRequest, frame.CloseUnauthorized,
		frame.CloseForbidden, frame.CloseNoSubprotocol, frame.CloseInitTimeout, frame.CloseDuplicate, frame.CloseSecondInit, frame.CloseInternal:
		return strconv.Itoa(code)
	case 0:
		return "none"
	}
	return "other"
}

func (m *metrics) subscribed() {
	m.subscriptions.Add(1)
	m.started.Inc()
}

func (m *metrics) unsubscribed(reason string) {
	m.subscriptions.Add(-1)
	m.ended.WithLabelValues(reason).Inc()
}

func (m *metrics) count(t *tally) {
	if t.messages == 0 {
		return
	}
	m.messages.Add(float64(t.messages))
	m.gaps.Add(float64(t.gaps))
	m.delivery.add(t)
	*t = tally{}
}

func eventLabel(e entity.Kind) string {
	switch e {
	case entity.Activity, entity.Device, entity.Trip, entity.Job, entity.APIKey, entity.Session:
		return string(e)
	}
	return "other"
}
