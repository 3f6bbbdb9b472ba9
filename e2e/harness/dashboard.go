package harness

// DashboardQuery is the query of a first screen: four lists with two levels, from all five services.
const DashboardQuery = `{
	overview { devices { online total } jobs { running } recentActivities { title startedAt } degraded }
	trips(first: 20) { nodes { id status distance fee { amountMinor currency } vehicle { id name } account { name } } }
	jobs(first: 20) { nodes { id name status device { id name } } }
	activities(first: 50) { nodes { id kind title startedAt device { id name } } }
	devices(first: 20) { nodes { id name currentTrip { id } } }
}`

// Dashboard is the response to DashboardQuery.
type Dashboard struct {
	Overview *struct {
		Devices          *struct{ Online, Total int }
		Jobs             *struct{ Running int }
		RecentActivities []struct{ Title, StartedAt string }
		Degraded         []string
	}
	Trips *struct {
		Nodes []struct {
			ID, Status string
			Distance   float64
			Fee        struct {
				AmountMinor int
				Currency    string
			}
			Vehicle *struct{ ID, Name string }
			Account *struct{ Name string }
		}
	}
	Jobs *struct {
		Nodes []struct {
			ID, Name, Status string
			Device           *struct{ ID, Name string }
		}
	}
	Activities *struct {
		Nodes []struct {
			ID, Kind, Title, StartedAt string
			Device                     *struct{ ID, Name string }
		}
	}
	Devices *struct {
		Nodes []struct {
			ID, Name    string
			CurrentTrip *struct{ ID string }
		}
	}
}

// Count is a page of a list of which a test reads the total.
type Count struct {
	TotalCount int
	Nodes      []struct{ ID string }
}
