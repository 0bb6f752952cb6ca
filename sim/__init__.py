"""The world: vocabulary, mesh, skin, camera and robot. Imports nothing else of ours."""
