"""All planted defects."""

from tests.verify import (
    faults_answers,
    faults_bodies,
    faults_formats,
    faults_penalties,
    faults_sampling,
    faults_shapes,
    faults_streams,
    faults_thinking,
)
from tests.verify.planted import PLANTED, Fault

MODULES = (
    faults_sampling,
    faults_penalties,
    faults_bodies,
    faults_answers,
    faults_streams,
    faults_formats,
    faults_shapes,
    faults_thinking,
)
FAULTS: tuple[Fault, ...] = tuple(PLANTED)
