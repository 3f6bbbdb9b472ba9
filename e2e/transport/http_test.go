package transport

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// HTTP/2 is spoken without TLS too, to those who know beforehand, as proxies do: many requests share one connection.
func TestHTTP2WithoutTLSSharesConnection(t *testing.T) {
	t.Parallel()
	p := harness.Demo(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: harness.Timeout}
	var work sync.WaitGroup
	for range 20 {
		work.Go(func() {
			response, err := client.Post(p.URL+"/graphql", "application/json", strings.NewReader(`{"query": "{ __typename }"}`))
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.ProtoMajor != 2 || response.StatusCode != http.StatusOK || !json.Valid(body) {
				t.Errorf("%s answered %d %s, %v", response.Proto, response.StatusCode, body, err)
			}
		})
	}
	work.Wait()
}

// Nobody keeps a connection open that it does nothing with.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--http-idle-timeout", "1s", "--http-read-header-timeout", "1s")...)
	for name, said := range map[string]string{
		"nothing at all":          "",
		"the half of a request":   "GET /healthz HTTP/1.1\r\nHost: x\r\n",
		"one request":             "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"the beginning of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", p.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, said); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(harness.Timeout))
			_, err = io.Copy(io.Discard, bufio.NewReader(conn)) // nil at its end
			if refused, is := errors.AsType[net.Error](err); is && refused.Timeout() {
				t.Error("it stays open")
			}
		})
	}
}
