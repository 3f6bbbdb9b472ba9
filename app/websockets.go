package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/sluicehq/sluice/services/device/ingress"
)

// webSocketPath is where devices connect over WebSocket.
const webSocketPath = "/mqtt"

// withDevices adds MQTT over WebSocket to the handler of the gateway: of the device service in this process, or through
// a reverse proxy to the one that runs elsewhere.
func (h *house) withDevices(handler http.Handler) http.Handler {
	devices := h.devices
	if devices == nil {
		token := h.config.ServiceToken.Reveal()
		devices = &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: h.config.MQTT.WebsocketAddr})
				r.SetXForwarded()
				r.Out.Header.Del(ingress.ProxyTokenHeader)
				if token != "" {
					r.Out.Header.Set(ingress.ProxyTokenHeader, token)
				}
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				h.logger.Warn("the device service cannot be reached for a WebSocket", "error", err)
				w.WriteHeader(http.StatusBadGateway)
			},
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == webSocketPath {
			devices.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// serveWebSockets listens for the gateway's WebSockets of devices, in a device service that runs alone.
func (h *house) serveWebSockets(ctx context.Context) error {
	addr := h.config.MQTT.WebsocketAddr
	if h.devices == nil || addr == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen for WebSockets of devices: %w: choose another address with --mqtt-websocket-addr", err)
	}
	mux := http.NewServeMux()
	mux.Handle(webSocketPath, h.devices)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: h.config.HTTP.ReadHeaderTimeout}
	h.run("device websockets", func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	h.program.closing.add("device websocket requests", server.Shutdown)
	return nil
}
