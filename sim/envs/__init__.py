"""The person and the robot as Gymnasium environments; thin adapters over cores that know no gymnasium."""
