package bff

// Ports are the ports of all services: one for each service of internal/catalog.
type Ports struct {
	Accounts   Accounts
	Devices    Devices
	Trips      Trips
	Jobs       Jobs
	Activities Activities
}
