package app

import (
	"net"
	"syscall"
	"testing"
	"time"
)

func TestConnectionsInheritHowLongTheyMayStayUnacknowledged(t *testing.T) {
	t.Parallel()
	config := net.ListenConfig{Control: unacknowledged(75 * time.Second)}
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if err := raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }); err != nil || got != 75_000 {
		t.Errorf("%d ms, %v", got, err)
	}
}
