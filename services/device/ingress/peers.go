package ingress

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

// Messages between processes: a verb and a device id, to one process or to all.
const (
	peerSubject = "device.ingress." // + the name of a process, or "all"
	verbGreet   = "greet"           // send pending messages of the store
	verbVerify  = "verify"          // compare the connections of the device with the store
)

const (
	heartbeat   = 2 * time.Second
	maxMisses   = 4               // heartbeats without a change, after which a process is dead
	verifyEvery = 3               // heartbeats between comparisons of all connections
	orphanAge   = time.Minute     // of an ownership without a connection, before it is released
	nodeTimeout = 5 * time.Second // of one round
)

func (l *Listener) notify(node, verb, deviceID string) {
	if l.peers == nil {
		return
	}
	if err := l.peers.Notify(peerSubject+node, []byte(verb+" "+deviceID)); err != nil {
		l.logger.Debug("another process is not notified", "error", err) // it finds the change in the store
	}
}

// losing closes connections that lost their session to an acquired one, here and in other processes.
func (l *Listener) losing(owned Ownership) {
	for _, key := range owned.Evicted {
		l.mu.Lock()
		c := l.conns[key]
		l.mu.Unlock()
		if c != nil {
			l.note(key.DeviceID, Closed, "a connection was closed: "+evicted.Reason, map[string]any{"clientId": key.ClientID})
			c.close(evicted)
		}
	}
	slices.Sort(owned.Nodes)
	for _, node := range slices.Compact(owned.Nodes) {
		l.notify(node, verbVerify, "")
	}
}

// Disconnect implements registry.Connections. The sessions have ended in the store, where a process that is not
// notified finds it.
func (l *Listener) Disconnect(_ context.Context, deviceID string) error {
	for _, c := range l.of(deviceID) {
		c.close(revoked)
	}
	l.notify("all", verbVerify, deviceID)
	return nil
}

// Connected implements presence.Broker.
func (l *Listener) Connected(ctx context.Context) (map[string]time.Time, error) {
	return l.sessions.ConnectedDevices(ctx)
}

func (l *Listener) watchPeers(ctx context.Context) {
	if l.peers == nil {
		return
	}
	handle := func(data []byte) {
		switch verb, deviceID, _ := strings.Cut(string(data), " "); verb {
		case verbGreet:
			l.greet(deviceID)
		case verbVerify:
			l.verify(ctx, deviceID)
		}
	}
	for _, node := range []string{"all", l.sessions.Node()} {
		if err := l.peers.Listen(ctx, peerSubject+node, handle); err != nil {
			l.logger.Warn("messages of other processes are not read", "error", err)
		}
	}
	<-ctx.Done()
}

// verify closes the connections of the device, or of all for "", whose session has another owner or has ended.
func (l *Listener) verify(ctx context.Context, deviceID string) {
	conns := l.of(deviceID) // before the store is read, because later connections are not in the result
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	owned, err := l.sessions.OwnedSessions(ctx, deviceID)
	if err != nil {
		l.logger.Warn("the ownership of connections is not verified", "error", err)
		return
	}
	for _, c := range conns {
		if owned[c.key] != c.generation {
			c.close(takenOver)
		}
		delete(owned, c.key)
	}
	now := l.options.Clock.Now()
	for key, generation := range owned {
		if now.Sub(time.UnixMicro(generation)) < orphanAge || l.has(key) {
			continue // it is connecting
		}
		if err := l.sessions.ReleaseSession(ctx, key, generation, End{Will: true, Now: now}); err != nil {
			l.logger.Warn("a session is not released yet", "device", key.DeviceID, "error", err)
		}
	}
}

func (l *Listener) has(key Key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns[key] != nil
}

// watchNodes sends heartbeats, and releases the sessions of processes without heartbeats: their devices are UNKNOWN
// until they reconnect.
func (l *Listener) watchNodes(ctx context.Context) {
	seen, misses := map[string]int64{}, map[string]int{}
	for round := 1; ctx.Err() == nil; round++ {
		beats, err := l.sessions.Heartbeat(ctx)
		if err != nil && ctx.Err() == nil {
			l.logger.Warn("the heartbeat of this process is not stored", "error", err)
		}
		for node, beat := range beats {
			if node == l.sessions.Node() || seen[node] != beat {
				seen[node], misses[node] = beat, 0
				continue
			}
			if misses[node]++; misses[node] >= maxMisses || beat == 0 {
				l.bury(ctx, node)
				delete(seen, node)
				delete(misses, node)
			}
		}
		if err == nil {
			l.publishWills(ctx)
		}
		if err == nil && round%verifyEvery == 0 {
			l.verify(ctx, "")
			if err := l.sessions.ExpireSessions(ctx, l.options.Clock.Now()); err != nil {
				l.logger.Warn("expired sessions are not deleted", "error", err)
			}
		}
		sleep(ctx, heartbeat)
	}
}

// publishWills publishes the last wills that are due, of connections that any process held.
func (l *Listener) publishWills(ctx context.Context) {
	now := l.options.Clock.Now()
	err := l.sessions.PublishWills(ctx, now, func(ctx context.Context, wills []device.UpMessage) error {
		for i := range wills {
			wills[i].ArrivedAt = now
		}
		for _, outcome := range l.uplink.HandleAll(ctx, wills) {
			if outcome.Err != nil {
				return outcome.Err
			}
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		l.logger.Warn("last wills are not published yet", "error", err)
	}
}

// bury releases the sessions of a dead process.
func (l *Listener) bury(ctx context.Context, node string) {
	ids, err := l.sessions.ReleaseNode(ctx, node, l.options.Clock.Now(), l.options.RestartGrace)
	if err == nil {
		err = l.tracker.MarkUnconfirmed(ctx, ids)
	}
	if err != nil {
		l.logger.Warn("the sessions of a dead process are not released", "error", err)
		return
	}
	l.logger.Info("a process that accepted devices has died", "devices", len(ids))
}
