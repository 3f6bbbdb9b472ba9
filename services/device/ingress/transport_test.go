package ingress_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/services/device/ingress"
)

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A client of the Eclipse Foundation publishes over each transport, with both qualities of service, a will and a lasting
// session.
func TestPahoClientPublishesOverEachTransport(t *testing.T) {
	t.Parallel()
	plain := open(t, nil)
	secure := openWith(t, plain.db, limits(), func(o *ingress.Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, MinVersion: tls.VersionTLS12}
	})
	web := httptest.NewServer(plain.listener)
	t.Cleanup(web.Close)
	for i, url := range []string{"tcp://" + plain.listener.Addr(), "tls://" + secure.listener.Addr(), strings.Replace(web.URL, "http", "ws", 1) + "/mqtt"} {
		r := plain.register(t)
		topic := "devices/" + r.Device.ID + "/telemetry"
		for _, clean := range []bool{true, false} {
			client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetProtocolVersion(4).SetClientID(r.Device.ID).SetUsername(r.Device.ID).
				SetPassword(r.Secret).SetCleanSession(clean).SetWill("devices/"+r.Device.ID+"/events", `{"type": "WILL"}`, 1, false).
				SetTLSConfig(&tls.Config{InsecureSkipVerify: true}).SetConnectTimeout(soon)) //nolint:gosec // the certificate is the test's own
			if token := client.Connect(); !token.WaitTimeout(soon) || token.Error() != nil {
				t.Fatalf("%s: %v", url, token.Error())
			}
			for qos := range byte(2) {
				payload := fmt.Sprintf(`{"at": %d, "values": {"t": 1}}`, 1_700_000_000_000+100*i+10*int(qos))
				if token := client.Publish(topic, qos, true, payload); !token.WaitTimeout(soon) || token.Error() != nil {
					t.Fatalf("%s: %v", url, token.Error())
				}
			}
			client.Disconnect(100)
		}
		if n := plain.readings(t, r.Device.ID); n != 2 {
			t.Errorf("%s: %d readings are stored", url, n)
		}
	}
}

func TestWebSocketOfOtherSubprotocolIsClosed(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	web := httptest.NewServer(s.listener)
	t.Cleanup(web.Close)
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-ws"}}
	conn, response, err := dialer.Dial(strings.Replace(web.URL, "http", "ws", 1), http.Header{"Origin": {"https://elsewhere.example"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("another subprotocol is served")
	}
}
