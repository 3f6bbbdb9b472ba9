package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// HTTP/2 is spoken without TLS too, to those who know beforehand, as proxies do: many requests share
// one connection.
func TestHTTP2WithoutTLS(t *testing.T) {
	t.Parallel()
	p := demo(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, MaxConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
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
