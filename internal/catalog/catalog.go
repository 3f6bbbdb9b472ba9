// Package catalog describes each service once: its name, its default address, and the scopes of its contract. Other
// tables of services are keyed by it: the openers and ports in app, the settings in internal/config, the argument of
// `sluice service`, and the parts of the query `overview`. A table that lacks a service fails a test.
package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// The names of the services.
const (
	Account  = "account"
	Device   = "device"
	Trip     = "trip"
	Job      = "job"
	Activity = "activity"
)

// Service describes one service.
type Service struct {
	Name   string // lower case; also the name of its folder, database and settings
	Listen string // host:port

	// The scopes, by the lowest role that has them. A higher role has the scopes of the lower ones.
	Member, Operator, Admin []string
}

// services is in the order of the default ports, and never written.
var services = []Service{
	{Name: Account, Listen: "127.0.0.1:9101", Member: []string{"account:read"}, Admin: []string{"apikey:write"}},
	{
		Name: Device, Listen: "127.0.0.1:9102", Member: []string{"device:read"},
		Operator: []string{"device:configure", "device:command", "camera:view", "camera:move"}, Admin: []string{"device:write"},
	},
	{Name: Trip, Listen: "127.0.0.1:9103", Member: []string{"trip:read", "trip:write"}},
	{Name: Job, Listen: "127.0.0.1:9104", Operator: []string{"job:read", "job:write"}},
	{Name: Activity, Listen: "127.0.0.1:9105", Member: []string{"activity:read", "activity:write"}},
}

// Services returns all services, in the order of their default ports.
func Services() []Service { return slices.Clone(services) }

// Names returns the names of all services, in the order of their default ports.
func Names() []string {
	names := make([]string, len(services))
	for i, s := range services {
		names[i] = s.Name
	}
	return names
}

// Find returns the service of the name. The error lists the valid names.
func Find(name string) (Service, error) {
	i := slices.IndexFunc(services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return Service{}, fmt.Errorf("there is no service %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return services[i], nil
}
