"""CRISP as a job of other programs: RELION's External job, and jobs of the CCP-EM pipeliner."""
