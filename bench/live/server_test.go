package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff/auth"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/loaders"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

// serverVariable names the server that this process is to be; unset, it measures.
const serverVariable = "SLUICE_BENCH_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(serverVariable); name != "" {
		if err := serve(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// publisher has the server say something.
type publisher func(text string) error

// usage is what a server has used.
type usage struct {
	CPU        time.Duration // user and system
	Memory     uint64        // heap and stacks in use, after a collection when it was asked for
	Executions float64
	P99        float64 // seconds from commit to the write, by the hub's own histogram
}

// serve answers until the process is killed: /graphql is the WebSocket, /publish has it say something,
// /usage tells what it has used.
func serve(name string) error {
	var sockets http.Handler
	var publish publisher
	registry := prometheus.NewRegistry()
	switch name {
	case "limit":
		sockets, publish = bare()
	case "sluice":
		var err error
		if sockets, publish, err = gateway(registry); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", sockets)
	mux.HandleFunc("/publish", func(w http.ResponseWriter, r *http.Request) {
		events, _ := strconv.Atoi(r.URL.Query().Get("events"))
		for range events {
			if err := publish(r.URL.Query().Get("text")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
	})
	mux.HandleFunc("/usage", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(used(registry, r.URL.Query().Has("collect"))) // who asked may have gone
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, mux)
}

func used(registry *prometheus.Registry, collect bool) usage {
	if collect {
		for range 3 {
			runtime.GC()
		}
		debug.FreeOSMemory()
	}
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // cannot fail for oneself
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Memory: m.HeapInuse + m.StackInuse}
	families, _ := registry.Gather()
	for _, f := range families {
		switch f.GetName() {
		case "sluice_live_executions_total":
			u.Executions = f.GetMetric()[0].GetCounter().GetValue()
		case "sluice_live_delivery_seconds":
			u.P99 = quantile(f.GetMetric()[0].GetHistogram(), 0.99)
		}
	}
	return u
}

// quantile reads a histogram as Prometheus does: evenly spread within a bucket. What is beyond the last
// bucket is at least that.
func quantile(h *dto.Histogram, q float64) float64 {
	rank := q * float64(h.GetSampleCount())
	from, below := 0.0, 0.0
	for _, b := range h.GetBucket() {
		if count := float64(b.GetCumulativeCount()); count >= rank && count > below {
			return from + (b.GetUpperBound()-from)*(rank-below)/(count-below)
		}
		from, below = b.GetUpperBound(), float64(b.GetCumulativeCount())
	}
	return from
}

// bare is what a hand-written server would be: a goroutine that reads a connection, and one prepared
// message that is written to each.
func bare() (http.Handler, publisher) {
	var mu sync.Mutex
	connections := map[*websocket.Conn]struct{}{}
	upgrader := websocket.Upgrader{Subprotocols: []string{"graphql-transport-ws"}}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				return
			}
			mu.Lock()
			if strings.Contains(string(text), "init") {
				_ = conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"connection_ack"}`))
			} else {
				connections[conn] = struct{}{}
			}
			mu.Unlock()
		}
	})
	return handler, func(text string) error {
		message, err := websocket.NewPreparedMessage(websocket.TextMessage,
			[]byte(`{"id":"1","type":"next","payload":{"data":{"activityAdded":{"title":"`+text+`"}},"extensions":{"cursor":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}}`))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for conn := range connections {
			if err := conn.WritePreparedMessage(message); err != nil {
				return err
			}
		}
		return nil
	}
}

// member is whom everybody is in these benchmarks.
type member struct{}

func (member) Caller(context.Context, auth.Credentials) (caller.Caller, error) {
	return caller.Caller{AccountID: ids.New(ids.Account), Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}, nil
}

func (member) Invalidate(string) {}

func (member) EndSession(string) {}

func (member) Watch(auth.Session) {}

func (member) Recheck(context.Context) []string { return nil }

func gateway(registry *prometheus.Registry) (http.Handler, publisher, error) {
	folder, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return nil, nil, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	b, err := bus.Open(context.Background(), bus.Options{StoreDir: folder, SyncInterval: time.Minute, Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	limits := document.Limits{Depth: 15, Aliases: 100}
	control := admission.New(admission.Options{Limits: limits})
	hub, err := live.New(context.Background(), live.Options{
		JetStream: b.JetStream(), Decode: bffentity.Decode, Auth: member{}, Secret: []byte("of the benchmark"), Clock: clock.System{}, Logger: logger, Registry: registry, Admission: control,
		Settings: live.Settings{
			InitTimeout: 30 * time.Second, IdleTimeout: time.Hour, WriteTimeout: 10 * time.Second, KeepAlive: 20 * time.Minute, RequestTimeout: 10 * time.Second,
			MaxTotal: 50_000, MaxConnections: 50_000, MaxSubscriptions: 100, MaxMessage: 64 << 10, QueueBytes: 256 << 10, History: 1000, HistoryBytes: 16 << 20,
		},
	})
	if err != nil {
		return nil, nil, err
	}
	options := rpc.Options{Logger: logger, Tracing: obs.NoTracing()}
	nobody := rpc.Within(rpc.NewChannel(options, func(grpc.ServiceRegistrar) {}), options)
	ports := loaders.Ports{
		Accounts: bffrpc.NewAccounts(nobody), Devices: bffrpc.NewDevices(nobody), Trips: bffrpc.NewTrips(nobody),
		Jobs: bffrpc.NewJobs(nobody), Activities: bffrpc.NewActivities(nobody),
	}
	handler := edge.New(edge.Parts{
		GraphQL: pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: clock.System{}}, pipeline.Options{
			Admission: control, Limits: limits, Tokens: 5000, Logger: logger, Tracing: obs.NoTracing(),
		}),
		Admission: control, Auth: auth.New(ports.Accounts, "x", clock.System{}), Health: edge.NewHealth(nil, nil), Live: hub,
	}, edge.Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, Logger: logger, Tracing: obs.NoTracing()})
	var number atomic.Int64
	return handler, func(text string) error { return b.Publish(context.Background(), message(text, number.Add(1))) }, nil
}

func message(text string, number int64) bus.Message {
	a := &activityv1.Activity{
		Id: ids.New(ids.Activity), Kind: activityv1.Kind_KIND_NOTE, Source: "bench", Title: text, StartedAt: timestamppb.Now(),
		Observation: &activityv1.Observation{Telescope: fmt.Sprint("t", number)},
	}
	data, _ := proto.Marshal(a) // a message of our own making
	return bus.Message{Subject: "event.activity.added." + a.GetId(), ID: ids.New(ids.Event), Data: data, Time: time.Now()}
}
