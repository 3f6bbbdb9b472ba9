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

// withDevices adds MQTT over WebSocket to the handler of the gateway: of the device service in this process, or
// through a reverse proxy.
func (w *wiring) withDevices(handler http.Handler) http.Handler {
	devices := w.devices
	if devices == nil {
		token := w.calls.Token
		devices = &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: w.config.MQTT.WebsocketAddr})
				r.SetXForwarded()
				r.Out.Header.Del(ingress.ProxyTokenHeader)
				if token != "" {
					r.Out.Header.Set(ingress.ProxyTokenHeader, token)
				}
			},
			ErrorHandler: func(response http.ResponseWriter, _ *http.Request, err error) {
				w.logger.Warn("the device service cannot be reached for a WebSocket", "error", err)
				response.WriteHeader(http.StatusBadGateway)
			},
		}
	}
	return http.HandlerFunc(func(response http.ResponseWriter, r *http.Request) {
		if r.URL.Path == webSocketPath {
			devices.ServeHTTP(response, r)
			return
		}
		handler.ServeHTTP(response, r)
	})
}

// serveWebSockets listens for the gateway's WebSockets of devices, in a separate device service.
func (w *wiring) serveWebSockets(ctx context.Context) error {
	addr := w.config.MQTT.WebsocketAddr
	if w.devices == nil || addr == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen for WebSockets of devices: %w: choose another address with --mqtt-websocket-addr", err)
	}
	mux := http.NewServeMux()
	mux.Handle(webSocketPath, w.devices)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: w.config.HTTP.ReadHeaderTimeout}
	w.run("device websockets", func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	w.program.closing.add("device websocket requests", server.Shutdown)
	return nil
}
