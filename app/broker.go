package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sluicehq/sluice/internal/bus"
)

// openBus opens the broker: the one that the settings name, or one within this process that keeps
// its streams in the folder. With devices, they connect to it.
func (h *house) openBus(ctx context.Context, folder string, devices bool) (*bus.Bus, error) {
	options := bus.Options{
		URL: h.config.NATS.URL.Reveal(), StoreDir: filepath.Join(h.config.Data, folder),
		EventsMaxAge: h.config.NATS.EventsMaxAge, EventsMaxBytes: int64(h.config.NATS.EventsMaxBytes),
		Logger: h.logger, Registry: h.registry,
	}
	if devices {
		var err error
		if options.Field, err = h.fieldOptions(); err != nil {
			return nil, err
		}
	}
	b, err := bus.Open(ctx, options)
	if err != nil && options.Field != nil && options.Field.Addr != "" && errors.Is(err, bus.ErrListen) {
		return nil, fmt.Errorf("%w: choose another address for devices with --mqtt-addr", err)
	}
	if err != nil {
		return nil, err
	}
	h.program.closing.add("events", b.Close)
	if h.field = b.Field(); h.field != nil {
		h.program.MQTT = h.field.Addr()
	}
	return b, nil
}

// fieldOptions say where devices connect; nil for nowhere.
func (h *house) fieldOptions() (*bus.FieldOptions, error) {
	nats, mqtt := h.config.NATS, h.config.MQTT
	if nats.URL != "" {
		if nats.SystemURL == "" {
			h.logger.Warn("devices cannot connect: give the servers' system account with nats.system_url and the key with nats.issuer_seed")
			return nil, nil
		}
		return &bus.FieldOptions{SystemURL: nats.SystemURL.Reveal(), IssuerSeed: nats.IssuerSeed.Reveal()}, nil
	}
	if mqtt.Addr == "" {
		return nil, nil
	}
	options := &bus.FieldOptions{Addr: mqtt.Addr}
	if mqtt.TLSCert == "" {
		return options, nil
	}
	certificate, err := tls.LoadX509KeyPair(mqtt.TLSCert, mqtt.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("read mqtt.tls_cert and mqtt.tls_key: %w", err)
	}
	options.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return options, nil
}
