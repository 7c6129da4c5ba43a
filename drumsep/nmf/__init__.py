"""The classical baselines of the LarsNet paper (section 5.1): NMFD and SAB-NMF."""
