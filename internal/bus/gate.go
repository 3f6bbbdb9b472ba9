package bus

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// FieldOptions say where devices connect.
type FieldOptions struct {
	Addr string      // where the embedded broker listens for MQTT, as host:port
	TLS  *tls.Config // of that listener; nil for none

	SystemURL  string // a remote broker, as a user of its system account
	IssuerSeed string // of the account key that the remote broker's auth_callout names
}

// The accounts of the embedded broker.
const (
	systemAccount = "SYS"
	globalAccount = "$G"
)

// keepTimeout is how long a subscription or a message of a device may wait until it is on disk. When
// many devices come at once each waits for those before it, and one that is refused its subscription
// (0x80 in SUBACK) has often no idea: the broker's 5 s are too few for 300 on a busy machine.
const keepTimeout = time.Minute

// gate is how the embedded broker tells this process from devices.
type gate struct {
	house, system nkeys.KeyPair // this process, in the account of the streams and in the system's
	issuer        nkeys.KeyPair // who says who devices are
}

// openGate adds the listener of devices to the settings. Only this process is known there by itself;
// of all others the broker asks who they are: see Field.Admit.
func openGate(settings *server.Options, field FieldOptions) (*gate, error) {
	if err := listenForDevices(settings, field); err != nil {
		return nil, err
	}
	g := &gate{}
	names := make([]string, 3)
	for i, key := range []*nkeys.KeyPair{&g.house, &g.system, &g.issuer} {
		kind := nkeys.PrefixByteUser
		if key == &g.issuer {
			kind = nkeys.PrefixByteAccount
		}
		made, err := nkeys.CreatePair(kind)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		if names[i], err = made.PublicKey(); err != nil {
			return nil, fmt.Errorf("read the key: %w", err)
		}
		*key = made
	}
	system := server.NewAccount(systemAccount)
	settings.Accounts, settings.SystemAccount = []*server.Account{system}, systemAccount
	settings.Nkeys = []*server.NkeyUser{{Nkey: names[0]}, {Nkey: names[1], Account: system}}
	settings.AuthCallout = &server.AuthCallout{Issuer: names[2], Account: globalAccount, AuthUsers: names[:2]}
	settings.AuthTimeout, settings.MQTT.AuthTimeout = admitTimeout.Seconds(), admitTimeout.Seconds()
	settings.MQTT.JSAPITimeout = keepTimeout
	return g, nil
}

func listenForDevices(settings *server.Options, field FieldOptions) error {
	host, port, err := net.SplitHostPort(field.Addr)
	if err != nil {
		return err
	}
	if settings.MQTT.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("the port %q is no number", port)
	}
	if settings.MQTT.Port == 0 {
		settings.MQTT.Port = -1 // any
	}
	settings.MQTT.Host, settings.MQTT.TLSConfig, settings.MQTT.TLSTimeout = host, field.TLS, tlsTimeout
	return nil
}

// as identifies a connection of this process by the key.
func as(key nkeys.KeyPair) (nats.Option, error) {
	name, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return nats.Nkey(name, key.Sign), nil
}
