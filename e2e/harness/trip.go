package harness

import "testing"

// Trip holds the fields of a trip that the tests of figures read.
type Trip struct {
	ID             string
	Distance       float64
	DistanceSource string
	Status         string
	Vehicle        struct{ ID, Name string }
	Track          []struct{ Counted bool }
}

// TripPage is a response with one page of trips.
type TripPage struct {
	Trips struct {
		TotalCount int
		Nodes      []Trip
		PageInfo   struct {
			HasNextPage bool
			EndCursor   *string
		}
	}
}

// TripsOf reads all pages of the trips of the vehicles.
func TripsOf(t *testing.T, p *Program, token string, pageSize int, vehicles ...string) []Trip {
	t.Helper()
	const query = `query($filter: TripFilter, $first: Int, $after: Cursor) {
		trips(filter: $filter, first: $first, after: $after) {
			totalCount pageInfo { hasNextPage endCursor }
			nodes { id distance distanceSource status vehicle { id name } }
		}
	}`
	variables := Vars{"filter": Vars{"vehicleIds": vehicles}, "first": pageSize}
	var all []Trip
	for {
		page := Query[TripPage](t, p, token, query, variables).Trips
		all = append(all, page.Nodes...)
		if !page.PageInfo.HasNextPage {
			if len(all) != page.TotalCount {
				t.Errorf("the pages hold %d trips, totalCount says %d", len(all), page.TotalCount)
			}
			return all
		}
		if len(page.Nodes) != pageSize {
			t.Fatalf("a page of %d trips is followed by another", len(page.Nodes))
		}
		variables["after"] = *page.PageInfo.EndCursor
	}
}
