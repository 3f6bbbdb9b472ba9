package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	brokerStart  = 10 * time.Second
	brokerMemory = 64 << 20 // for streams in memory; all streams are files
	// brokerStore is far above the sum of the streams' bounds: a smaller store would not recover streams that were
	// created under larger bounds.
	brokerStore = 1 << 40
)

// broker is a NATS server in this process. Clients connect through pipes; there is no listener.
type broker struct {
	server *server.Server
	lock   *os.File
	before []string // streams on disk before the start
}

func startBroker(options Options) (*broker, error) {
	if err := os.MkdirAll(options.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the broker's folder: %w", err)
	}
	lock, err := lockFolder(options.StoreDir)
	if err != nil {
		return nil, err
	}
	b := &broker{lock: lock, before: streamsOnDisk(options.StoreDir)}
	if err := b.start(options); err != nil {
		_ = lock.Close() // the earlier error is returned
		return nil, err
	}
	return b, nil
}

func (b *broker) start(options Options) error {
	log := &brokerLog{logger: options.Logger.With("part", "broker")}
	s, err := server.NewServer(serverOptions(options))
	if err != nil {
		return fmt.Errorf("set up the broker: %w", err)
	}
	s.SetLogger(log, false, false)
	s.Start() // returns at once, without a listener
	if err := log.fatal(); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start the broker in %s: %w", options.StoreDir, err)
	}
	if !s.ReadyForConnections(brokerStart) {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("the broker in %s is not ready after %v", options.StoreDir, brokerStart)
	}
	b.server = s
	return nil
}

func serverOptions(options Options) *server.Options {
	return &server.Options{
		ServerName:         options.Name,
		DontListen:         true,
		NoSigs:             true, // the program handles signals
		NoLog:              true, // brokerLog logs
		JetStream:          true,
		StoreDir:           options.StoreDir,
		JetStreamMaxMemory: brokerMemory,
		JetStreamMaxStore:  brokerStore,
		SyncAlways:         options.SyncInterval == 0,
		SyncInterval:       options.SyncInterval,
	}
}

func streamsOnDisk(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "*", "meta.inf"))
	if err != nil {
		return nil // the pattern is valid
	}
	for i, path := range found {
		found[i] = filepath.Base(filepath.Dir(path))
	}
	return found
}

// checkRecovered refuses to start without a stream that was on disk. The server only warns about an unreadable
// stream, and declaring that stream would create it empty.
func (b *broker) checkRecovered(ctx context.Context, js jetstream.JetStream) error {
	for _, name := range b.before {
		_, err := js.Stream(ctx, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("stream %s is on disk and cannot be read: see the broker's log, and restore its folder or move it away", name)
		}
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", name, err)
		}
	}
	return nil
}

// revive enables JetStream, which the server disables when the disk is full.
func (b *broker) revive(ctx context.Context, js jetstream.JetStream, options Options) error {
	if b.server.JetStreamEnabled() {
		return nil
	}
	b.before = streamsOnDisk(options.StoreDir)
	err := b.server.EnableJetStream(&server.JetStreamConfig{
		StoreDir: options.StoreDir, MaxMemory: brokerMemory, MaxStore: brokerStore,
		SyncAlways: options.SyncInterval == 0, SyncInterval: options.SyncInterval, Strict: true, CompressOK: true,
	})
	if err != nil {
		return fmt.Errorf("enable the streams of the broker again: %w", err)
	}
	return b.checkRecovered(ctx, js)
}

// stop shuts the server down; it is idempotent. When ctx ends first, the shutdown continues in the background.
func (b *broker) stop(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() {
		b.server.Shutdown()
		b.server.WaitForShutdown()
		err := b.lock.Close()
		if errors.Is(err, os.ErrClosed) {
			err = nil
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop the broker: %w", ctx.Err())
	}
}

// InUse reports whether a process runs an embedded broker on the folder.
func InUse(storeDir string) bool {
	if _, err := os.Stat(filepath.Join(storeDir, "lock")); err != nil {
		return false
	}
	lock, err := lockFolder(storeDir)
	if err != nil {
		return true
	}
	_ = lock.Close() // nothing was written
	return false
}
