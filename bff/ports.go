package bff

// Ports are the ports of all services.
type Ports struct {
	Accounts   Accounts
	Devices    Devices
	Trips      Trips
	Jobs       Jobs
	Activities Activities
}
