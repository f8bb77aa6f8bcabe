// Streamlit asks for a component's script under its own path; ours is where the pages' other scripts are.
export { default } from "../../../deck.js";
