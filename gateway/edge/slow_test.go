package edge_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/gateway/edge"
)

// slowly is a server whose requests may take so long, and when its connections end.
func slowly(t *testing.T, timeout time.Duration) (address string, ended <-chan struct{}) {
	t.Helper()
	h := open(t, func(_ *edge.Parts, o *edge.Options) { o.RequestTimeout = timeout })
	closed := make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), closed
}

func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil { // the test's patience
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A body that does not come is not waited for longer than a request may take, whatever the answer is to be.
func TestABodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	address, _ := slowly(t, 2*time.Second)
	for head, status := range map[string]int{
		"POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nAccept: " + acceptGraphQL:  http.StatusRequestTimeout,
		"POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nAccept: text/event-stream": http.StatusRequestTimeout,
		"POST /graphql HTTP/1.1\r\nContent-Type: text/plain":                                    http.StatusUnsupportedMediaType,
		"POST /nowhere HTTP/1.1": http.StatusNotFound,
	} {
		conn := dial(t, address, head+"\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"query\"")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != status {
			t.Errorf("%s: answered %s", head, response.Status)
		}
		_ = response.Body.Close()
	}
}

// The deadline of a body is not that of the request after it on the same connection.
func TestTheDeadlineOfABodyEndsWithIt(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	address, _ := slowly(t, timeout)
	body := query("{ __typename }")
	request := "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	conn := dial(t, address, request)
	reader := bufio.NewReader(conn)
	for i := range 2 {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Discard(int(response.ContentLength)); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %s, %v", i, response.Status, err)
		}
		if i == 0 {
			time.Sleep(timeout + timeout/2) // beyond every deadline of the first
			if _, err := conn.Write([]byte(request)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Whoever does not read what they asked for is left.
func TestAnswersThatAreNotRead(t *testing.T) {
	t.Parallel()
	address, ended := slowly(t, 200*time.Millisecond)
	asset, _, _ := strings.Cut(after(open(t).fetch(at("/graphiql/")).text, `src="`), `"`)
	conn := dial(t, address, "")
	go func() {
		request := []byte("GET /graphiql/" + strings.TrimPrefix(asset, "/graphiql/") + " HTTP/1.1\r\nHost: x\r\n\r\n")
		for range 1000 {
			if _, err := conn.Write(request); err != nil {
				return // as it should be
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("the connection is still open")
	}
}
